//! Tells a dead connection from a quiet one ([`Watchdog`]), and a gateway that reads slowly from one that sends and does not read
//! ([`WriteWatch`]).

use std::time::{Duration, Instant};

use crate::time::after;

/// The reaction to the silence on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vigil {
    /// Nothing: the gateway was heard from lately.
    Alive,
    /// Ask: it has been quiet for longer than its tick interval.
    Probe,
    /// Give up: it has been quiet for two tick intervals.
    Dead,
}

/// Watches one connection for signs of life: any byte counts, ticks and answers alike.
///
/// A gateway ticks at the interval that it states in hello-ok (30 s in all nine releases of 2026). The reference
/// client gives up after two intervals without a frame; so does this, after a probe in between, since an idle
/// connection is not a dead one.
#[derive(Debug, Clone)]
pub struct Watchdog {
    interval: Duration,
    heard: Instant,
    probed: bool,
    /// When it was found that no look had been taken for a while. Once per silence.
    overslept: Option<Instant>,
}

impl Watchdog {
    /// How long past a tick that is due the probe waits.
    const PROBE_GRACE: Duration = Duration::from_millis(500);
    /// How long a gateway has to answer a probe after a time without looks: it may have sent all the time, and its packets are
    /// sent again within seconds (TCP).
    const AFTER_SLEEP: Duration = Duration::from_secs(5);

    /// A watch over a connection that was last heard from at `now`; `interval` is [`Policy::tick_interval`](crate::Policy::tick_interval).
    pub const fn new(interval: Duration, now: Instant) -> Self {
        Self {
            interval,
            heard: now,
            probed: false,
            overslept: None,
        }
    }

    /// Something came in.
    pub const fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.probed = false;
        self.overslept = None;
    }

    /// No look was taken at the connection for a while before `now`: the process was stopped (SIGSTOP, a paused container or
    /// machine), or its thread was blocked. That silence was not the gateway's, so it is asked before it is given up, once.
    pub const fn overslept(&mut self, now: Instant) {
        if self.overslept.is_none() {
            self.overslept = Some(now);
            self.probed = false;
        }
    }

    /// Looks at the clock. [`Vigil::Probe`] is said once per silence.
    pub fn check(&mut self, now: Instant) -> Vigil {
        if now >= self.dead_at() {
            Vigil::Dead
        } else if !self.probed && now >= self.probe_at() {
            self.probed = true;
            Vigil::Probe
        } else {
            Vigil::Alive
        }
    }

    /// When to look next.
    pub fn next_check(&self) -> Instant {
        if self.probed { self.dead_at() } else { self.probe_at() }
    }

    /// How long nothing was heard.
    pub fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }

    fn probe_at(&self) -> Instant {
        after(self.heard, self.interval.saturating_add(Self::PROBE_GRACE))
    }

    fn dead_at(&self) -> Instant {
        let silent = after(self.heard, self.interval.saturating_mul(2));
        let asked = self.overslept.map(|at| after(at, Self::AFTER_SLEEP));
        asked.map_or(silent, |asked| asked.max(silent))
    }
}

/// Watches whether the other side takes the written bytes, while it sends.
///
/// A side that neither reads nor sends is the [`Watchdog`](super::Watchdog)'s business: a process with a hanging event loop does
/// neither, and reads on when it goes on. One that goes on sending and takes no byte answers nothing any more.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteWatch {
    /// Bytes wait since then, and none was taken.
    since: Option<Instant>,
    /// When it was first heard from after [`LIMIT`](Self::LIMIT).
    doubted: Option<Instant>,
}

impl WriteWatch {
    /// How long bytes may wait while the other side sends: a tick interval of all measured releases. TCP repeats a packet that
    /// was lost some six times in it.
    pub const LIMIT: Duration = Duration::from_secs(30);
    /// How long after it was heard from it may still begin to read: a process that hung may send first.
    pub const GRACE: Duration = Duration::from_secs(5);

    /// One look at the connection: whether bytes wait to be taken, whether some were taken since the look before, and whether
    /// something came in since then.
    pub fn look(&mut self, now: Instant, waits: bool, taken: bool, heard: bool) {
        if !waits {
            *self = Self::default();
        } else if taken || self.since.is_none() {
            *self = Self {
                since: Some(now),
                doubted: None,
            };
        } else if heard && self.waited(now) >= Self::LIMIT {
            self.doubted.get_or_insert(now);
        }
    }

    /// How long bytes have waited, where the connection is to be given up for it.
    pub fn verdict(&self, now: Instant) -> Option<Duration> {
        let late = self.next_check().is_some_and(|at| at <= now);
        late.then(|| self.waited(now))
    }

    /// When to ask for the [`verdict`](Self::verdict) next, where nothing else happens.
    pub fn next_check(&self) -> Option<Instant> {
        self.doubted.map(|at| at + Self::GRACE)
    }

    fn waited(&self, now: Instant) -> Duration {
        self.since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
        Instant::now()
    }

    #[test]
    fn a_quiet_connection_is_probed_once_and_then_given_up() {
        let start = start();
        let second = |n| start + Duration::from_secs(n);
        let mut dog = Watchdog::new(Duration::from_secs(30), start);
        assert_eq!(dog.check(second(30)), Vigil::Alive);
        assert_eq!(dog.check(second(31)), Vigil::Probe);
        assert_eq!(dog.check(second(32)), Vigil::Alive);
        assert_eq!(dog.next_check(), second(60));
        assert_eq!(dog.check(second(60)), Vigil::Dead);
    }

    #[test]
    fn a_silence_without_looks_is_asked_about_once_before_it_counts() {
        let start = start();
        let second = |n| start + Duration::from_secs(n);
        let mut dog = Watchdog::new(Duration::from_secs(30), start);
        dog.overslept(second(100));
        assert_eq!(dog.check(second(100)), Vigil::Probe);
        assert_eq!(dog.next_check(), second(105));
        dog.overslept(second(104));
        assert_eq!(dog.check(second(105)), Vigil::Dead);
        dog.heard(second(105));
        dog.overslept(second(200));
        assert_eq!(dog.check(second(204)), Vigil::Probe);
    }

    #[test]
    fn an_interval_of_any_length_has_an_end() {
        let start = start();
        let mut dog = Watchdog::new(Duration::MAX, start);
        assert_eq!(dog.check(start + Duration::from_secs(1_000_000)), Vigil::Alive);
        assert!(dog.next_check() > start);
    }

    #[test]
    fn any_sign_of_life_starts_the_watch_again() {
        let start = start();
        let mut dog = Watchdog::new(Duration::from_secs(30), start);
        assert_eq!(dog.check(start + Duration::from_secs(31)), Vigil::Probe);
        dog.heard(start + Duration::from_secs(59));
        assert_eq!(dog.check(start + Duration::from_secs(60)), Vigil::Alive);
        assert_eq!(dog.check(start + Duration::from_secs(90)), Vigil::Probe);
    }
}

#[cfg(test)]
mod write_watch_tests {
    use super::*;

    fn start() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
        Instant::now()
    }

    /// The reports on a side that is looked at each second: (bytes wait, some were taken, something came in).
    fn told(seconds: u64, side: impl Fn(u64) -> (bool, bool, bool)) -> Option<(u64, Duration)> {
        let (start, mut watch) = (start(), WriteWatch::default());
        (0..=seconds).find_map(|second| {
            let now = start + Duration::from_secs(second);
            let (waits, taken, heard) = side(second);
            watch.look(now, waits, taken, heard);
            watch.verdict(now).map(|waited| (second, waited))
        })
    }

    #[test]
    fn a_side_that_sends_and_takes_nothing_is_given_up() {
        assert_eq!(told(100, |_| (true, false, true)), Some((35, Duration::from_secs(35))));
    }

    #[test]
    fn a_side_that_reads_slowly_or_not_at_all_is_not() {
        assert_eq!(told(1000, |second| (true, second % 30 == 0, true)), None);
        assert_eq!(told(1000, |_| (true, false, false)), None);
        assert_eq!(told(1000, |_| (false, true, true)), None);
    }

    #[test]
    fn a_side_that_hung_and_sends_first_has_time_to_read() {
        assert_eq!(told(1000, |second| (true, second >= 44, second >= 40)), None);
        let silent_again = told(1000, |second| (true, false, second == 40));
        assert_eq!(silent_again, Some((45, Duration::from_secs(45))));
    }
}
