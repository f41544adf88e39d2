//! Tells a dead connection from a quiet one.

use std::time::{Duration, Instant};

/// What the silence on a connection calls for.
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
}

impl Watchdog {
    /// How long past a tick that is due the probe waits.
    const PROBE_GRACE: Duration = Duration::from_millis(500);

    /// A watch over a connection that was last heard from at `now`; `interval` is [`Policy::tick_interval`](crate::Policy::tick_interval).
    pub const fn new(interval: Duration, now: Instant) -> Self {
        Self {
            interval,
            heard: now,
            probed: false,
        }
    }

    /// Something came in.
    pub const fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.probed = false;
    }

    /// Looks at the clock. [`Vigil::Probe`] is said once per silence.
    pub fn check(&mut self, now: Instant) -> Vigil {
        if now >= self.heard + self.interval * 2 {
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
        if self.probed {
            self.heard + self.interval * 2
        } else {
            self.probe_at()
        }
    }

    /// How long nothing was heard.
    pub fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }

    fn probe_at(&self) -> Instant {
        self.heard + self.interval + Self::PROBE_GRACE
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
    fn any_sign_of_life_starts_the_watch_again() {
        let start = start();
        let mut dog = Watchdog::new(Duration::from_secs(30), start);
        assert_eq!(dog.check(start + Duration::from_secs(31)), Vigil::Probe);
        dog.heard(start + Duration::from_secs(59));
        assert_eq!(dog.check(start + Duration::from_secs(60)), Vigil::Alive);
        assert_eq!(dog.check(start + Duration::from_secs(90)), Vigil::Probe);
    }
}
