//! Tells a gateway that reads slowly from one that sends and does not read.

use std::time::{Duration, Instant};

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
