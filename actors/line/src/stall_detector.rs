//! Turns that take too long: a task that blocks a thread of lines is named.
//!
//! A thread runs its actors and tasks in turns, and one that computes or waits in its turn holds up all lines of the thread.
//! Each turn is noted in one word of the thread: its task, and its number. A watch in a thread of its own looks at that word
//! from time to time; the same turn at several looks has lasted from the first of them to the last. That costs a turn two
//! stores and no look at a clock, and an idle thread nothing.
//!
//! Only threads that were [entered](ThreadActivity::enter) are watched: none under virtual time.

mod watch;

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use windlass_protocol::GatewayId;

pub use watch::{BLOCKED_AFTER, BlockedTask, LOOK_EVERY, watch};

use crate::sync::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering};

/// A task with noted turns, on a thread with noted turns.
#[derive(Debug)]
pub struct Instrumented<F> {
    place: Option<TaskSlot>,
    task: Pin<Box<F>>,
}

/// A task's number on its thread, given back with this.
#[derive(Debug)]
struct TaskSlot {
    thread: Arc<ThreadActivity>,
    who: u32,
}

/// Notes the turns of a task of the present thread. `what` is a label of the metric: a fixed one.
pub fn instrument<F: Future>(what: &'static str, gateway: Option<&GatewayId>, task: F) -> Instrumented<F> {
    let place = ThreadActivity::current().map(|thread| {
        let gateway = gateway.cloned();
        let who = thread.register(TaskLabel { what, gateway });
        TaskSlot { thread, who }
    });
    let task = Box::pin(task);
    Instrumented { place, task }
}

impl<F: Future> Future for Instrumented<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { place, task } = &mut *self;
        // Over when the poll is, be it by a panic.
        let _turn = place.as_ref().map(|place| InTurn {
            before: place.thread.begin(place.who),
            thread: &place.thread,
        });
        task.as_mut().poll(cx)
    }
}

impl Drop for TaskSlot {
    fn drop(&mut self) {
        self.thread.release(self.who);
    }
}

struct InTurn<'a> {
    thread: &'a ThreadActivity,
    before: TaskTurn,
}

impl Drop for InTurn<'_> {
    fn drop(&mut self) {
        self.thread.set(self.before);
    }
}

/// The message that is handled in the present turn, until this is dropped.
#[derive(Debug)]
#[must_use = "the message is forgotten when this is dropped"]
pub struct Handling(Option<Arc<ThreadActivity>>);

/// Names the message that an actor handles.
pub fn handling(message: &'static str) -> Handling {
    let thread = ThreadActivity::current();
    if let Some(thread) = &thread {
        thread.set_message(Some(message));
    }
    Handling(thread)
}

impl Drop for Handling {
    fn drop(&mut self) {
        if let Some(thread) = &self.0 {
            thread.set_message(None);
        }
    }
}

/// A task that takes turns on a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TaskLabel {
    what: &'static str,
    gateway: Option<GatewayId>,
}

/// The turn that a thread is in: in the upper half its number, which is never used twice within a day of turns; in the lower
/// half the number of its task, from 1 on, and 0 between turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TaskTurn(u64);

impl TaskTurn {
    fn is_idle(self) -> bool {
        self.who() == 0
    }

    const fn who(self) -> u32 {
        let [.., a, b, c, d] = self.0.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

/// A thread with watched turns. Cheap to look at from another thread.
#[derive(Debug)]
pub struct ThreadActivity {
    name: String,
    turn: AtomicU64,
    /// The number of the last turn. Only the thread itself counts.
    last: AtomicU32,
    labels: Mutex<TaskLabels>,
    /// The message that is handled in this turn, where it is an actor's.
    message: Mutex<Option<&'static str>>,
}

#[derive(Debug, Default)]
struct TaskLabels {
    taken: Vec<Option<TaskLabel>>,
    free: Vec<u32>,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<ThreadActivity>>> = const { RefCell::new(None) };
}

impl ThreadActivity {
    /// A thread of this name, to be entered by it.
    pub fn new(name: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            turn: AtomicU64::new(0),
            last: AtomicU32::new(0),
            labels: Mutex::default(),
            message: Mutex::default(),
        })
    }

    /// Has the turns of the present thread noted there from now on: those of tasks that are started after this.
    pub fn enter(self: &Arc<Self>) {
        CURRENT.set(Some(Arc::clone(self)));
    }

    /// That of the present thread.
    fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    fn name(&self) -> &str {
        &self.name
    }

    /// A number for a task that takes turns.
    fn register(&self, label: TaskLabel) -> u32 {
        let mut labels = self.labels();
        if let Some(who) = labels.free.pop() {
            labels.taken[who as usize - 1] = Some(label);
            return who;
        }
        labels.taken.push(Some(label));
        // More tasks than that don't fit into memory.
        u32::try_from(labels.taken.len()).unwrap_or(u32::MAX)
    }

    fn release(&self, who: u32) {
        let mut labels = self.labels();
        if let Some(label) = labels.taken.get_mut(who as usize - 1) {
            *label = None;
            labels.free.push(who);
        }
    }

    /// A task has its turn. Returns the turn before, to go back to.
    fn begin(&self, who: u32) -> TaskTurn {
        let number = self.last.load(Ordering::Relaxed).wrapping_add(1);
        self.last.store(number, Ordering::Relaxed);
        let before = TaskTurn(self.turn.load(Ordering::Relaxed));
        self.set(TaskTurn(u64::from(number) << 32 | u64::from(who)));
        before
    }

    fn set(&self, turn: TaskTurn) {
        self.turn.store(turn.0, Ordering::Relaxed);
    }

    fn now(&self) -> TaskTurn {
        TaskTurn(self.turn.load(Ordering::Relaxed))
    }

    /// The task of this turn; `None` when it is over.
    fn label(&self, turn: TaskTurn) -> Option<TaskLabel> {
        let who = turn.who().checked_sub(1)?;
        let label = self.labels().taken.get(who as usize).cloned().flatten();
        label.filter(|_| self.now() == turn)
    }

    fn set_message(&self, message: Option<&'static str>) {
        *self.message.lock().unwrap_or_else(PoisonError::into_inner) = message;
    }

    fn message(&self) -> Option<&'static str> {
        *self.message.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn labels(&self) -> MutexGuard<'_, TaskLabels> {
        // Held by steps that can't panic.
        self.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, windlass_loom))]
mod thread_loom_tests {
    use loom::thread;

    use super::{TaskLabel, ThreadActivity};

    const fn label(what: &'static str) -> TaskLabel {
        TaskLabel { what, gateway: None }
    }

    /// Two tasks take their turns one after the other, the second with the number that the first one gave back.
    #[test]
    fn a_turn_is_never_shown_with_the_label_of_another_task() {
        loom::model(|| {
            let activity = ThreadActivity::new("shard");
            let watched = activity.clone();
            let detector = thread::spawn(move || {
                let turn = watched.now();
                (turn, watched.label(turn).map(|label| label.what))
            });
            for what in ["first", "second"] {
                let who = activity.register(label(what));
                let before = activity.begin(who);
                activity.set(before);
                activity.release(who);
            }
            let (turn, shown) = detector.join().unwrap();
            // The upper half of a turn counts the turns.
            let allowed = match turn.0 >> 32 {
                1 => [None, Some("first")],
                2 => [None, Some("second")],
                _ => [None, None],
            };
            assert!(allowed.contains(&shown), "{turn:?}: {shown:?}");
        });
    }
}
