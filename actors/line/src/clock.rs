//! Time, read in one place.
//!
//! Everything else is given an [`Instant`], so that a test can run an hour in a millisecond.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use tracing::guard;
use windlass_protocol::time::{after, wall_after};

/// Where the shard reads the time.
///
/// ```
/// use std::time::{Duration, Instant, SystemTime};
///
/// use windlass_line::{Clock, TokioClock};
///
/// /// A clock of a machine whose time of day is an hour slow.
/// struct Corrected(TokioClock);
///
/// impl Clock for Corrected {
///     fn now(&self) -> Instant {
///         self.0.now()
///     }
///
///     fn wall(&self) -> SystemTime {
///         self.0.wall() + Duration::from_secs(3600)
///     }
/// }
///
/// let (clock, corrected) = (TokioClock::start(), Corrected(TokioClock::start()));
/// assert!(corrected.wall() > clock.wall());
/// ```
pub trait Clock: Send + Sync + 'static {
    /// The monotonic time, that of the timers.
    fn now(&self) -> Instant;
    /// The time of day, for people. It follows the system's clock, and steps with it.
    fn wall(&self) -> SystemTime;
}

/// A difference between the system's clock and the monotonic time that is taken for a step. A smaller one comes from reading
/// the two one after the other.
const SMALLEST_STEP: Duration = Duration::from_millis(50);
/// Attempts to read both clocks within [`READ_WITHIN`]: a thread that is put off between the two would see a step.
const READ_ATTEMPTS: u32 = 8;
/// How far apart the readings of the two clocks may be.
const READ_WITHIN: Duration = Duration::from_millis(5);

/// The time of the tokio runtime: real, or virtual where the runtime's clock is paused.
///
/// The time of day goes with the monotonic time, virtual or not, and follows each step of the system's clock: an NTP
/// correction after boot, a suspended shard.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    start: Instant,
    real: RealTime,
}

/// The system's two clocks, read at one moment.
#[derive(Debug, Clone, Copy)]
struct RealTime {
    monotonic: Instant,
    wall: SystemTime,
}

impl TokioClock {
    /// Starts at the present time of the runtime (of the system, outside of one).
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start() -> Self {
        Self {
            start: tokio::time::Instant::now().into_std(),
            real: RealTime::read(),
        }
    }

    /// The time of day, `elapsed` after the start by the runtime's time.
    fn wall_at(&self, elapsed: Duration, now: RealTime) -> SystemTime {
        let unstepped = wall_after(self.real.wall, elapsed);
        let real_elapsed = now.monotonic.saturating_duration_since(self.real.monotonic);
        // Where the system's clock would be if it had not stepped.
        let Some(expected) = self.real.wall.checked_add(real_elapsed) else {
            return unstepped;
        };
        let stepped = match now.wall.duration_since(expected) {
            Ok(ahead) if ahead >= SMALLEST_STEP => unstepped.checked_add(ahead),
            Err(behind) if behind.duration() >= SMALLEST_STEP => unstepped.checked_sub(behind.duration()),
            _ => Some(unstepped),
        };
        stepped.unwrap_or(unstepped)
    }
}

impl RealTime {
    /// Reads both clocks, as close to each other as it goes.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn read() -> Self {
        let mut best: Option<(Duration, Self)> = None;
        for _ in 0..READ_ATTEMPTS {
            let (monotonic, wall) = (Instant::now(), SystemTime::now());
            let apart = Instant::now().saturating_duration_since(monotonic);
            if best.is_none_or(|(known, _)| apart < known) {
                best = Some((apart, Self { monotonic, wall }));
            }
            if apart <= READ_WITHIN {
                break;
            }
        }
        best.map_or_else(
            || Self {
                monotonic: Instant::now(),
                wall: SystemTime::now(),
            },
            |(_, read)| read,
        )
    }
}

impl Clock for TokioClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        let elapsed = self.now().saturating_duration_since(self.start);
        self.wall_at(elapsed, RealTime::read())
    }
}

/// How late a timer is when the process did not run, or its thread was blocked: timers are exact to a millisecond, and a busy
/// thread takes turns of a few.
const LATE: Duration = Duration::from_millis(250);

/// How long sockets are read after a timer that came late, before the time that has passed counts: the system has the bytes that came
/// in meanwhile, and reports them at the next look.
pub(crate) const SECOND_LOOK: Duration = Duration::from_millis(10);

/// Whether a timer that was to come `at` came so late that the process must have been stopped.
pub(crate) fn is_late(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) > LATE
}

/// The output of `future` by `deadline`; `None` when there was none by then. After a time in which the process was stopped it
/// has a moment more: its input may have come.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub async fn until<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
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
pub async fn within<F: Future>(wait: Duration, future: F) -> Option<F::Output> {
    until(after(tokio::time::Instant::now().into_std(), wait), future).await
}

/// Waits until `deadline`.
pub async fn sleep_until(deadline: Instant) {
    tokio::time::sleep_until(deadline.into()).await;
}

/// One deadline over several steps, for a loop over incoming items.
///
/// It is looked at before each step, so that the loop ends in time also where the next step is ready at once, always: against
/// a peer that floods. After a time in which the process was stopped the loop goes on for a moment, once.
///
/// ```
/// use std::time::Duration;
///
/// use windlass_line::{Clock as _, Deadline, TokioClock};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let mut deadline = Deadline::at(TokioClock::start().now() + Duration::from_millis(10));
/// assert_eq!(deadline.limit(async { 1 }).await, Some(1));
/// assert_eq!(deadline.limit(std::future::pending::<()>()).await, None);
/// # }
/// ```
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

    /// The output of a step before the deadline, or `None`.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub async fn limit<F: Future>(&mut self, step: F) -> Option<F::Output> {
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

/// A host's clock: where it panics, the runtime's is looked at.
///
/// Code of the host that is polled within a task (a [`Connector`](crate::Connector), a store) needs none: its panic ends the task's
/// turn, and the task is supervised. Code that is called in the middle of a line's own steps needs one.
#[derive(Debug)]
pub struct GuardedClock<C> {
    clock: C,
    instead: TokioClock,
}

impl<C: Clock> GuardedClock<C> {
    /// Puts a guard around a clock.
    pub fn new(clock: C) -> Self {
        let instead = TokioClock::start();
        Self { clock, instead }
    }
}

impl<C: Clock> Clock for GuardedClock<C> {
    fn now(&self) -> Instant {
        guard(|| self.clock.now()).unwrap_or_else(|| self.instead.now())
    }

    fn wall(&self) -> SystemTime {
        guard(|| self.clock.wall()).unwrap_or_else(|| self.instead.wall())
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
        while deadline.limit(ready(())).await.is_some() {
            steps += 1;
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert_eq!(steps, 10);
        assert_eq!(in_a_second().limit(pending::<()>()).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_stop_the_steps_go_on_for_a_moment_once() {
        let mut deadline = in_a_second();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(deadline.limit(ready(1)).await, Some(1));
        tokio::time::advance(SECOND_LOOK / 2).await;
        assert_eq!(deadline.limit(ready(2)).await, Some(2));
        tokio::time::advance(SECOND_LOOK).await;
        assert_eq!(deadline.limit(ready(3)).await, None);
    }

    const HOUR: Duration = Duration::from_secs(3600);
    const ELAPSED: Duration = Duration::from_secs(10);

    /// The system's clocks ten seconds after the start, if the time of day had not stepped.
    fn later(clock: &TokioClock) -> RealTime {
        RealTime {
            monotonic: clock.real.monotonic + ELAPSED,
            wall: clock.real.wall + ELAPSED,
        }
    }

    #[test]
    fn the_time_of_day_follows_a_step_of_the_systems_clock_either_way() {
        let clock = TokioClock::start();
        let at = |wall| RealTime { wall, ..later(&clock) };
        let unstepped = clock.real.wall + ELAPSED;
        for wall in [unstepped, unstepped + HOUR, unstepped - HOUR, SystemTime::UNIX_EPOCH] {
            assert_eq!(clock.wall_at(ELAPSED, at(wall)), wall);
        }
    }

    #[test]
    fn readings_that_differ_by_little_are_no_step() {
        let clock = TokioClock::start();
        let unstepped = clock.real.wall + ELAPSED;
        let off_by = |by| RealTime {
            wall: unstepped + by,
            ..later(&clock)
        };
        assert_eq!(clock.wall_at(ELAPSED, off_by(SMALLEST_STEP / 2)), unstepped);
        // A drift adds up, and is followed then.
        assert_eq!(clock.wall_at(ELAPSED, off_by(SMALLEST_STEP)), unstepped + SMALLEST_STEP);
    }

    #[tokio::test(start_paused = true)]
    async fn under_virtual_time_the_time_of_day_goes_with_it() {
        let clock = TokioClock::start();
        let before = clock.wall();
        tokio::time::advance(HOUR).await;
        assert_eq!(clock.wall(), before + HOUR);
    }
}
