//! Time, read in one place.
//!
//! Everything else is given an [`Instant`], so that a test can run an hour in a millisecond.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use windlass_protocol::time::{after, wall_after};

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
        wall_after(self.start_wall, self.now().saturating_duration_since(self.start))
    }
}

/// How late a timer is when the process did not run, or its thread was blocked: timers are exact to a millisecond, and a busy
/// thread takes turns of a few.
const LATE: Duration = Duration::from_millis(250);

/// How long sockets are read after a timer that came late, before the time that has passed counts: the system has what came
/// in meanwhile, and tells of it at the next look.
pub(crate) const SECOND_LOOK: Duration = Duration::from_millis(10);

/// Whether a timer that was to come `at` came so late that the process must have been stopped.
pub(crate) fn is_late(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) > LATE
}

/// What `future` gives until `deadline`; nothing when it gave nothing by then. After a time in which the process was stopped it
/// has a moment more: what it waits for may have come.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) async fn until<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    tokio::select! {
        biased;
        output = &mut future => return Some(output),
        () = sleep_until(deadline) => {}
    }
    let now = tokio::time::Instant::now().into_std();
    if !is_late(deadline, now) {
        return None;
    }
    tokio::select! {
        biased;
        output = &mut future => Some(output),
        () = sleep_until(after(now, SECOND_LOOK)) => None,
    }
}

/// [`until`] so long from now.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) async fn within<F: Future>(wait: Duration, future: F) -> Option<F::Output> {
    until(after(tokio::time::Instant::now().into_std(), wait), future).await
}

/// Waits until `deadline`.
pub(crate) async fn sleep_until(deadline: Instant) {
    tokio::time::sleep_until(deadline.into()).await;
}
