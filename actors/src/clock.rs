//! Time, read in one place.
//!
//! Everything else is given an [`Instant`], so that a test can run an hour in a millisecond.

use std::time::{Instant, SystemTime};

/// Where the machine reads the time.
pub trait Clock: Send + Sync + 'static {
    /// The monotonic time, that of the timers.
    fn now(&self) -> Instant;
    /// The time of day, for people.
    fn wall(&self) -> SystemTime;
}

/// The time of the tokio runtime: real, or virtual where the runtime's clock is paused.
///
/// The time of day is read once and then follows the monotonic time, so that both agree under virtual time and a
/// step of the system's clock does not reorder a log.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    start: Instant,
    start_wall: SystemTime,
}

impl TokioClock {
    /// Starts at the present time of the runtime (of the system, outside of one).
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start() -> Self {
        Self {
            start: tokio::time::Instant::now().into_std(),
            start_wall: SystemTime::now(),
        }
    }
}

impl Clock for TokioClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        self.start_wall + self.now().saturating_duration_since(self.start)
    }
}

/// Waits until `deadline`.
pub(crate) async fn sleep_until(deadline: Instant) {
    tokio::time::sleep_until(deadline.into()).await;
}
