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

/// One deadline over several steps, for a loop that takes what comes.
///
/// It is looked at before each step, so that the loop ends in time also where the next step is ready at once, always: against
/// a peer that floods. After a time in which the process was stopped the loop goes on for a moment, once.
#[derive(Debug)]
pub struct Deadline {
    at: Instant,
    /// It was found passed by a process that had been stopped: the end that counts.
    moment: Option<Instant>,
}

impl Deadline {
    /// A deadline at this instant.
    pub const fn at(at: Instant) -> Self {
        Self { at, moment: None }
    }

    /// Moves it, where it is another one.
    pub fn set(&mut self, at: Instant) {
        if at != self.at {
            *self = Self::at(at);
        }
    }

    /// What a step gives before the deadline, or nothing.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub async fn give<F: Future>(&mut self, step: F) -> Option<F::Output> {
        let now = tokio::time::Instant::now().into_std();
        if self.moment.is_none() && is_late(self.at, now) {
            self.moment = Some(after(now, SECOND_LOOK));
        }
        let end = self.moment.unwrap_or(self.at);
        if now >= end {
            return None;
        }
        until(end, step).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    fn in_a_second() -> Deadline {
        Deadline::at(TokioClock::start().now() + Duration::from_secs(1))
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_looked_at_also_where_something_is_there_always() {
        let mut deadline = in_a_second();
        let mut steps = 0;
        while deadline.give(ready(())).await.is_some() {
            steps += 1;
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert_eq!(steps, 10);
        assert_eq!(in_a_second().give(pending::<()>()).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_stop_the_steps_go_on_for_a_moment_once() {
        let mut deadline = in_a_second();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(deadline.give(ready(1)).await, Some(1));
        tokio::time::advance(SECOND_LOOK / 2).await;
        assert_eq!(deadline.give(ready(2)).await, Some(2));
        tokio::time::advance(SECOND_LOOK).await;
        assert_eq!(deadline.give(ready(3)).await, None);
    }
}
