//! Supervision: starts connections, learns of each of their ends, and decides the next step.
//!
//! actix's own supervisor neither restarts after a panic nor waits between restarts, so this is ours: a connection's
//! actor is started from its line's spec as a task that is joined, and its end (asked for, failed, refused, panicked)
//! goes through one decision.
//!
//! Other parts are kept in simpler ways: an actor that only takes messages outlives the panics of its handlers
//! ([`SurvivesPanics`]); a task that runs by itself ([`keep_running`]) is restarted after a rest. docs/supervision.md has the
//! table.

mod supervisor;

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use actix::dev::channel::{AddressReceiver, channel};
use actix::{Actor, Addr, AsyncContext as _, Context};
use futures_util::FutureExt as _;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle, JoinSet, spawn_local};
use windlass_protocol::GatewayId;
use windlass_protocol::time::after;

pub(crate) use supervisor::{Begin, LineCommand, LineCommands, LineControl, supervise};

use crate::spec::IntensityPolicy;
use crate::stall_detector::{handling, instrument};
use crate::telemetry;

/// The message of a panic. Cut, since it goes into logs and statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic(String);

impl Panic {
    const LONGEST: usize = 200;

    pub(crate) fn new(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Self(text.chars().take(Self::LONGEST).collect())
    }

    /// That of a task; nothing where it was only aborted.
    pub(crate) fn of_task(error: JoinError) -> Option<Self> {
        error.try_into_panic().ok().map(|payload| Self::new(&*payload))
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Panic> for String {
    fn from(panic: Panic) -> Self {
        panic.0
    }
}

/// Runs a future to its end, be that a panic. State that it shares must be whole after a panic at any await: cells that are
/// borrowed for one step only, locks that forgive poison.
///
/// ```
/// use windlass_line::supervision::guarded;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// assert_eq!(guarded(async { 1 }).await, Ok(1));
/// let panic = guarded(async { panic!("a bug") }).await.map(|()| 1).unwrap_err();
/// assert_eq!(panic.to_string(), "a bug");
/// # }
/// ```
///
/// # Errors
/// The panic.
pub async fn guarded<F: Future>(future: F) -> Result<F::Output, Panic> {
    let end = AssertUnwindSafe(future).catch_unwind().await;
    end.map_err(|payload| Panic::new(&*payload))
}

/// The panics of one thing that is started again after each.
#[derive(Debug)]
pub struct Restarts {
    what: &'static str,
    intensity: Intensity,
}

/// The step after a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// How long it rests before it is started again.
    pub delay: Duration,
    /// Panics within the window, where those are too many.
    pub degraded: Option<usize>,
}

impl Restarts {
    /// The rest after a panic. It keeps a bug that strikes at once from burning a core.
    pub const REST: Duration = Duration::from_secs(1);

    /// Nothing has panicked yet. The name is a label of the metric: a fixed one.
    pub fn of(what: &'static str) -> Self {
        Self {
            what,
            intensity: Intensity::default(),
        }
    }

    /// Counts and reports a panic.
    pub fn panicked(&mut self, now: Instant, panic: &Panic) -> Rest {
        let policy = IntensityPolicy::default();
        let degraded = self.intensity.failed(now, &policy);
        let delay = if degraded.is_some() { policy.rest } else { Self::REST };
        let (what, rest_s) = (self.what, delay.as_secs());
        telemetry::restarted(what);
        tracing::error!(what, rest_s, ?degraded, "panicked, and is started again: {panic}");
        Rest { delay, degraded }
    }
}

/// Runs something, and runs it again after each panic and a rest, until it ends by itself.
///
/// ```
/// use std::cell::Cell;
///
/// use windlass_line::supervision::keep_running;
/// use windlass_line::{Clock as _, TokioClock};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # tokio::time::pause();
/// let (clock, runs) = (TokioClock::start(), Cell::new(0));
/// let run = || async {
///     runs.set(runs.get() + 1);
///     assert!(runs.get() > 1, "the first run panics");
///     "done"
/// };
/// assert_eq!(keep_running("example", || clock.now(), run).await, "done");
/// assert_eq!(runs.get(), 2);
/// # }
/// ```
pub async fn keep_running<F: Future>(
    what: &'static str,
    now: impl Fn() -> Instant,
    mut run: impl FnMut() -> F,
) -> F::Output {
    let mut restarts = Restarts::of(what);
    loop {
        match guarded(run()).await {
            Ok(end) => return end,
            Err(panic) => {
                let rest = restarts.panicked(now(), &panic);
                crate::clock::sleep_until(after(now(), rest.delay)).await;
            }
        }
    }
}

/// The failures of one actor within a sliding window. Disconnects are no failures; panics are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Intensity {
    failures: VecDeque<Instant>,
}

impl Intensity {
    /// Counts a failure. Returns how many the window holds if that is too many.
    pub(crate) fn failed(&mut self, now: Instant, policy: &IntensityPolicy) -> Option<usize> {
        self.failures.push_back(now);
        while self
            .failures
            .front()
            .is_some_and(|&first| now.saturating_duration_since(first) > policy.window)
        {
            self.failures.pop_front();
        }
        // One more than the bound is enough to know that it is exceeded.
        while self.failures.len() > policy.failures + 1 {
            self.failures.pop_front();
        }
        (self.failures.len() > policy.failures).then_some(self.failures.len())
    }

    /// Forgets everything: a fresh start was ordered.
    pub(crate) fn reset(&mut self) {
        self.failures.clear();
    }
}

/// An actor that does not run yet. Made on any thread together with its address; run on a thread with a `LocalSet`.
pub struct Unstarted<A: Actor> {
    mailbox: AddressReceiver<A>,
    make: Box<dyn FnOnce() -> A + Send>,
}

impl<A: Actor<Context = Context<A>>> fmt::Debug for Unstarted<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unstarted").finish_non_exhaustive()
    }
}

impl<A: Actor<Context = Context<A>>> Unstarted<A> {
    /// An actor and its address. `make` makes the actor on the thread that runs it. At most `capacity` messages wait in the
    /// mailbox, and one more for each sender; senders wait beyond that.
    pub fn new(capacity: usize, make: impl FnOnce() -> A + Send + 'static) -> (Self, Addr<A>) {
        let (sender, mailbox) = channel(capacity);
        let unstarted = Self {
            mailbox,
            make: Box::new(make),
        };
        (unstarted, Addr::new(sender))
    }

    /// Runs the actor until its last address is dropped. Must be polled within a `LocalSet` (or an actix system) with tokio's
    /// time. Dropping the future ends the actor, and with it all tasks that it owns.
    pub async fn run(self) {
        let actor = (self.make)();
        Context::with_receiver(self.mailbox).into_future(actor).await;
    }
}

/// The answer to a message that an actor works on beside its mailbox. It ends with an error when that work panicked or was
/// dropped.
pub type TaskReply<T> = oneshot::Receiver<T>;

/// An actor that outlives a panic of its handlers: the panic costs the message in hand, and neither the messages behind it nor
/// the actor's state. Its handlers only change the actor's tables and begin tasks, so it is whole after a panic.
///
/// ```
/// use windlass_line::supervision::{Panic, SurvivesPanics};
///
/// #[derive(Default)]
/// struct Counter {
///     handled: u32,
///     panics: u32,
/// }
///
/// impl SurvivesPanics for Counter {
///     fn panicked(&mut self, _panic: &Panic) {
///         self.panics += 1;
///     }
/// }
///
/// let mut counter = Counter::default();
/// assert_eq!(counter.guarded("counter::Add", |_| -> u32 { panic!("a bug") }), None);
/// assert_eq!(counter.guarded("counter::Add", |counter| { counter.handled += 1; counter.handled }), Some(1));
/// assert_eq!(counter.panics, 1);
/// ```
pub trait SurvivesPanics: Sized {
    /// Counts and reports a panic.
    fn panicked(&mut self, panic: &Panic);

    /// Handles a message. `name` names it if it blocks a thread. `None` after a panic.
    fn guarded<T>(&mut self, name: &'static str, handle: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let _handling = handling(name);
        match catch_unwind(AssertUnwindSafe(|| handle(self))) {
            Ok(result) => Some(result),
            Err(payload) => {
                self.panicked(&Panic::new(&*payload));
                None
            }
        }
    }
}

/// An actor that runs as a task of its own. Dropping this ends it.
///
/// Spawned and joined by hand: a joined task tells a panic from a clean end, an actix address does not.
pub(crate) struct RunningActor<A: Actor<Context = Context<A>>> {
    pub(crate) address: Addr<A>,
    task: JoinHandle<()>,
}

impl<A: Actor<Context = Context<A>>> RunningActor<A> {
    /// Starts it. The stall detector reports it by its name.
    pub(crate) fn start(what: &'static str, gateway: Option<&GatewayId>, actor: A) -> Self {
        let context = Context::new();
        let address = context.address();
        let task = spawn_local(instrument(what, gateway, context.into_future(actor)));
        Self { address, task }
    }

    /// Waits for the actor's end: a panic, or nothing where it stopped. Not to be asked again after it has answered.
    ///
    /// ## Cancel safety
    /// Can be called again after being dropped before it was done.
    pub(crate) async fn ended(&mut self) -> Option<Panic> {
        match (&mut self.task).await {
            Ok(()) => None,
            Err(error) => Panic::of_task(error),
        }
    }
}

impl<A: Actor<Context = Context<A>>> Drop for RunningActor<A> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The tasks of an actor's handlers. Held outside of the actor too: a panic of the actor costs the order in hand and none of
/// these. When the last holder is dropped, all end.
#[derive(Debug, Clone)]
pub struct Tasks {
    what: &'static str,
    tasks: Rc<RefCell<JoinSet<()>>>,
}

/// Tasks, as one of them may hold them: it does not keep the others from ending.
#[derive(Debug, Clone)]
pub struct WeakTasks {
    what: &'static str,
    tasks: Weak<RefCell<JoinSet<()>>>,
}

impl Tasks {
    /// None yet. `what` names each in logs and metrics.
    pub fn of(what: &'static str) -> Self {
        let tasks = Rc::default();
        Self { what, tasks }
    }

    /// Begins a task.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let mut tasks = self.tasks.borrow_mut();
        tasks.spawn_local(instrument(self.what, None, task));
        while let Some(ended) = tasks.try_join_next() {
            // Whoever waits for it learns of it by the answer's dropped place.
            if let Some(panic) = ended.err().and_then(Panic::of_task) {
                tracing::error!(what = self.what, "panicked; the others go on: {panic}");
            }
        }
    }

    /// A hold that does not keep the tasks from ending.
    pub fn downgrade(&self) -> WeakTasks {
        WeakTasks {
            what: self.what,
            tasks: Rc::downgrade(&self.tasks),
        }
    }
}

impl WeakTasks {
    /// Nothing when all have ended.
    pub fn upgrade(&self) -> Option<Tasks> {
        let tasks = self.tasks.upgrade()?;
        Some(Tasks { what: self.what, tasks })
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod panic_tests {
    use super::*;
    use crate::clock::Clock as _;

    #[tokio::test(start_paused = true)]
    async fn what_panics_is_run_again_after_a_rest_and_after_a_long_one_when_that_is_too_often() {
        let clock = crate::TokioClock::start();
        let start = clock.now();
        let mut begun = Vec::new();
        let mut left = 7;
        let end = keep_running(
            "test",
            || clock.now(),
            || {
                begun.push((clock.now() - start).as_secs());
                left -= 1;
                let ends = left == 0;
                async move {
                    assert!(ends, "not yet");
                    "done"
                }
            },
        )
        .await;
        assert_eq!(end, "done");
        assert_eq!(begun, [0, 1, 2, 3, 4, 5, 35]);
    }

    #[tokio::test]
    async fn a_panic_says_what_it_said_and_no_more_than_fits() {
        let long = "x".repeat(1000);
        let panic = guarded(async move { panic!("{long}") }).await.unwrap_err();
        assert_eq!(panic.to_string().len(), Panic::LONGEST);
        let odd = guarded(async { std::panic::panic_any(7) }).await.unwrap_err();
        assert_eq!(odd.to_string(), "no message");
    }
}

#[cfg(test)]
mod intensity_tests {
    use super::*;

    const POLICY: IntensityPolicy = IntensityPolicy {
        failures: 2,
        window: Duration::from_secs(10),
        rest: Duration::from_secs(1),
    };

    #[test]
    fn too_many_failures_in_the_window_are_told_and_age_out() {
        #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
        let start = Instant::now();
        let mut intensity = Intensity::default();
        let at = |seconds| start + Duration::from_secs(seconds);
        let told: Vec<_> = [0, 1, 2, 3, 30]
            .map(|second| intensity.failed(at(second), &POLICY))
            .into();
        assert_eq!(told, [None, None, Some(3), Some(3), None]);
        intensity.reset();
        assert_eq!(intensity.failed(at(31), &POLICY), None);
    }
}
