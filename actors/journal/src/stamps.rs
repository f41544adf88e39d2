//! The time stamps of entries, and the steps of the clock.

use std::time::{Duration, Instant, SystemTime};

use windlass_store::{ClockStep, Cursor, Timestamp};

use windlass_line::clock::Clock;

/// A movement of the clock that is noted as a step: less than that makes no difference to a retention of an hour, the shortest
/// that the command line takes.
const SMALLEST_STEP_MS: u64 = 60_000;

/// Stamps of entries. Between two [`follow`](Self::follow) they go with the monotonic time, so that one batch is stamped by
/// one clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamps {
    monotonic: Instant,
    wall: SystemTime,
}

impl Stamps {
    pub(crate) fn start(clock: &dyn Clock) -> Self {
        Self {
            monotonic: clock.now(),
            wall: clock.wall(),
        }
    }

    /// The stamp of an entry that is taken now.
    pub(crate) fn at(&self, now: Instant) -> Timestamp {
        Timestamp::from(self.wall) + now.saturating_duration_since(self.monotonic)
    }

    /// Reads the clock again. Gives the milliseconds that it stepped since the last reading, where that is a step.
    pub(crate) fn follow(&mut self, clock: &dyn Clock) -> Option<i64> {
        let expected = self.at(clock.now());
        *self = Self::start(clock);
        let by_ms = Timestamp::from(self.wall)
            .as_millis()
            .saturating_sub(expected.as_millis());
        (by_ms.unsigned_abs() >= SMALLEST_STEP_MS).then_some(by_ms)
    }
}

/// The step that lies between the newest entry of a journal, stamped `stamped`, and a writer that begins `now`. None where the
/// time between them is as old as entries may be.
///
/// A writer can't tell a clock that was set from a computer that was off. An entry from the future was stamped by a clock that
/// was wrong. One that is so old that all entries would be deleted at once may have been: nothing is deleted on that ground,
/// and the entries age from now on.
pub(crate) fn step_before(
    newest: Cursor,
    stamped: Timestamp,
    now: Timestamp,
    max_age: Option<Duration>,
) -> Option<ClockStep> {
    let by_ms = now.as_millis().saturating_sub(stamped.as_millis());
    let is_from_the_future = by_ms < 0 && by_ms.unsigned_abs() >= SMALLEST_STEP_MS;
    let is_past_the_age = max_age.is_some_and(|max| now.saturating_duration_since(stamped) > max);
    (is_from_the_future || is_past_the_age).then_some(ClockStep { upto: newest, by_ms })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const DAY_MS: i64 = 86_400_000;
    const AGE: Option<Duration> = Some(Duration::from_secs(30 * 86_400));

    /// A clock with a time of day that the test sets.
    struct SetClock {
        start: Instant,
        now: Mutex<(Duration, SystemTime)>,
    }

    impl SetClock {
        fn set(&self, elapsed: u64, wall: SystemTime) {
            *self.now.lock().unwrap() = (Duration::from_secs(elapsed), wall);
        }
    }

    impl Clock for SetClock {
        fn now(&self) -> Instant {
            self.start + self.now.lock().unwrap().0
        }

        fn wall(&self) -> SystemTime {
            self.now.lock().unwrap().1
        }
    }

    #[test]
    fn stamps_go_with_the_monotonic_time_until_the_clock_is_read_again() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let clock = SetClock {
            start: windlass_line::TokioClock::start().now(),
            now: Mutex::new((Duration::ZERO, at(1_000))),
        };
        let mut stamps = Stamps::start(&clock);
        clock.set(5, at(90_000));
        assert_eq!(stamps.at(clock.now()).as_millis(), 1_005_000);
        assert_eq!(stamps.follow(&clock), Some(90_000_000 - 1_005_000));
        assert_eq!(stamps.at(clock.now()).as_millis(), 90_000_000);
        clock.set(6, at(90_002));
        assert_eq!(stamps.follow(&clock), None, "a second is no step");
        clock.set(7, at(1_000));
        assert_eq!(stamps.follow(&clock), Some(1_000_000 - 90_003_000));
    }

    #[test]
    fn a_newest_entry_that_is_too_old_or_from_the_future_moves_the_clock() {
        let newest = Cursor::new(9);
        let step = |stamped: i64, now: i64, max_age| {
            let (stamped, now) = (Timestamp::from_millis(stamped), Timestamp::from_millis(now));
            step_before(newest, stamped, now, max_age).map(|step| step.by_ms)
        };
        assert_eq!(step(0, 20 * DAY_MS, AGE), None);
        assert_eq!(step(0, 20_000 * DAY_MS, AGE), Some(20_000 * DAY_MS));
        assert_eq!(step(0, 20_000 * DAY_MS, None), None, "nothing is deleted for its age");
        assert_eq!(step(DAY_MS, 0, None), Some(-DAY_MS));
        assert_eq!(step(1_000, 0, AGE), None);
    }
}
