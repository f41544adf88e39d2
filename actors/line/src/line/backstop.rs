//! Deadlines of calls that a line's own thread does not keep: because it is blocked, or late.
//!
//! One thread looks after all lines of a Windlass. It sleeps until a deadline of some line has passed by a little, and
//! finds then that the line's thread has ended the call, which is the rule, or does it in its place. A line asks for its next
//! look only, so a call costs one load of an atomic, and the thread wakes about once for each line and timeout.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use windlass_protocol::time::after;

use crate::clock::{Clock, is_late};

/// How long past its deadline a call is looked for: the line's own timer, which is exact to a millisecond, comes first.
const GRACE: Duration = Duration::from_millis(5);

/// How long after a look that found no call there is another one. A caller that put a call in before the first look, and did not
/// see yet that it had to ask for one, is found by the second: a write to memory is seen by all within far less.
const ONCE_MORE: Duration = Duration::from_millis(100);

/// How long the lines have to look into their sockets after the whole process was stopped, before calls end: an answer that
/// lies there counts. Longer than the look of the lines ([`SECOND_LOOK`](crate::clock::SECOND_LOOK)).
const AFTER_SLEEP: Duration = Duration::from_millis(50);

/// Looks at lines with calls that are due. Cheap to clone; the clones share.
#[derive(Clone, Default)]
pub struct Backstop(Arc<BackstopState>);

#[derive(Default)]
struct BackstopState {
    /// How many lines were registered.
    lines: AtomicU64,
    plan: Mutex<CheckPlan>,
    changed: Condvar,
}

#[derive(Default)]
struct CheckPlan {
    /// By when they come, and the line's number. One for each line at most.
    checks: BTreeMap<(Instant, u64), PlannedCheck>,
    /// When the check of a line's pending calls comes.
    next_check: FxHashMap<u64, Instant>,
    stopped: bool,
}

/// The calls of a line, as the backstop sees them.
pub(crate) trait WatchedCalls: Send + Sync {
    /// From here on calls ask for a look again.
    fn reset_watch(&self);

    /// Ends the calls of callers that are late, as the line's thread would have done. Returns the next deadline.
    fn end_overdue(&self, now: Instant) -> Option<Instant>;

    /// Has the backstop look at `deadline`, unless it looks before.
    fn watch_again(self: Arc<Self>, deadline: Instant);
}

/// One check of a line.
struct PlannedCheck {
    pending: Weak<dyn WatchedCalls>,
    reason: CheckReason,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CheckReason {
    /// A call asked for it, or was found by the look before.
    Due,
    /// The process was stopped when it should have come.
    AfterSleep,
    /// The look before found no call.
    OnceMore,
}

impl fmt::Debug for Backstop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backstop").finish_non_exhaustive()
    }
}

impl Backstop {
    /// Nothing is looked at until [`run`](Self::run) does.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks after lines until [`stop`](Self::stop): run it on a thread of its own. Nothing here logs or calls code of the host but
    /// wakers, so that code that blocks the lines' threads does not block this one.
    pub fn run(&self, clock: &dyn Clock) {
        while let Some((at, number, check)) = self.next(clock) {
            let Some(pending) = check.pending.upgrade() else {
                continue;
            };
            let now = clock.now();
            if check.reason == CheckReason::Due && is_late(at, now) {
                self.schedule(after(now, AFTER_SLEEP), number, check.pending, CheckReason::AfterSleep);
                continue;
            }
            pending.reset_watch();
            // A waker is code of the host: should it panic, the next look goes on.
            let next = catch_unwind(AssertUnwindSafe(|| pending.end_overdue(now)));
            match next {
                Ok(Some(deadline)) => pending.watch_again(deadline),
                Ok(None) if check.reason == CheckReason::OnceMore => {}
                Ok(None) | Err(_) => self.schedule(after(now, ONCE_MORE), number, check.pending, CheckReason::OnceMore),
            }
        }
    }

    /// Ends [`run`](Self::run).
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.0.changed.notify_all();
    }

    /// A number for a line's pending calls.
    pub(crate) fn register(&self) -> u64 {
        self.0.lines.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn schedule_check(&self, deadline: Instant, number: u64, pending: Weak<dyn WatchedCalls>) {
        self.schedule(after(deadline, GRACE), number, pending, CheckReason::Due);
    }

    /// The line's line is closed for good.
    pub(crate) fn unregister(&self, number: u64) {
        let mut plan = self.lock();
        if let Some(at) = plan.next_check.remove(&number) {
            plan.checks.remove(&(at, number));
        }
    }

    /// Plans a look, unless there is an earlier one at the same line.
    fn schedule(&self, at: Instant, number: u64, pending: Weak<dyn WatchedCalls>, reason: CheckReason) {
        let mut plan = self.lock();
        match plan.next_check.insert(number, at) {
            Some(before) if before <= at => {
                plan.next_check.insert(number, before);
                return;
            }
            Some(before) => drop(plan.checks.remove(&(before, number))),
            None => {}
        }
        plan.checks.insert((at, number), PlannedCheck { pending, reason });
        let is_first = plan
            .checks
            .first_key_value()
            .is_some_and(|(first, _)| *first == (at, number));
        drop(plan);
        if is_first {
            self.0.changed.notify_one();
        }
    }

    /// Waits for the next look; nothing when it is over.
    fn next(&self, clock: &dyn Clock) -> Option<(Instant, u64, PlannedCheck)> {
        let mut plan = self.lock();
        loop {
            if plan.stopped {
                return None;
            }
            let first = plan.checks.first_key_value().map(|((at, _), _)| *at);
            let now = clock.now();
            plan = match first {
                Some(at) if at <= now => {
                    let ((at, number), check) = plan.checks.pop_first()?;
                    plan.next_check.remove(&number);
                    return Some((at, number, check));
                }
                Some(at) => {
                    let wait = at.saturating_duration_since(now);
                    let waited = self.0.changed.wait_timeout(plan, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.0.changed.wait(plan).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, CheckPlan> {
        self.0.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
