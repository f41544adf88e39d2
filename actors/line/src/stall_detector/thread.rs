//! The present turn of a thread.

use std::cell::RefCell;
use std::sync::{Arc, PoisonError};

use windlass_protocol::GatewayId;

use crate::sync::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering};

/// A task that takes turns on a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) what: &'static str,
    pub(super) gateway: Option<GatewayId>,
}

/// The turn that a thread is in: in the upper half its number, which is never used twice within a day of turns; in the lower
/// half the number of its task, from 1 on, and 0 between turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn(u64);

impl Turn {
    pub(super) fn is_idle(self) -> bool {
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
    labels: Mutex<Labels>,
    /// The message that is handled in this turn, where it is an actor's.
    message: Mutex<Option<&'static str>>,
}

#[derive(Debug, Default)]
struct Labels {
    taken: Vec<Option<Label>>,
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
    pub(super) fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A number for a task that takes turns.
    pub(super) fn take(&self, label: Label) -> u32 {
        let mut labels = self.labels();
        if let Some(who) = labels.free.pop() {
            labels.taken[who as usize - 1] = Some(label);
            return who;
        }
        labels.taken.push(Some(label));
        // More tasks than that don't fit into memory.
        u32::try_from(labels.taken.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn give_back(&self, who: u32) {
        let mut labels = self.labels();
        if let Some(label) = labels.taken.get_mut(who as usize - 1) {
            *label = None;
            labels.free.push(who);
        }
    }

    /// A task has its turn. Returns the turn before, to go back to.
    pub(super) fn begin(&self, who: u32) -> Turn {
        let number = self.last.load(Ordering::Relaxed).wrapping_add(1);
        self.last.store(number, Ordering::Relaxed);
        let before = Turn(self.turn.load(Ordering::Relaxed));
        self.set(Turn(u64::from(number) << 32 | u64::from(who)));
        before
    }

    pub(super) fn set(&self, turn: Turn) {
        self.turn.store(turn.0, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> Turn {
        Turn(self.turn.load(Ordering::Relaxed))
    }

    /// The task of this turn; `None` when it is over.
    pub(super) fn label(&self, turn: Turn) -> Option<Label> {
        let who = turn.who().checked_sub(1)?;
        let label = self.labels().taken.get(who as usize).cloned().flatten();
        label.filter(|_| self.now() == turn)
    }

    pub(super) fn set_message(&self, message: Option<&'static str>) {
        *self.message.lock().unwrap_or_else(PoisonError::into_inner) = message;
    }

    pub(super) fn message(&self) -> Option<&'static str> {
        *self.message.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn labels(&self) -> MutexGuard<'_, Labels> {
        // Held by steps that can't panic.
        self.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, windlass_loom))]
mod loom_tests {
    use loom::thread;

    use super::{Label, ThreadActivity};

    const fn label(what: &'static str) -> Label {
        Label { what, gateway: None }
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
                let who = activity.take(label(what));
                let before = activity.begin(who);
                activity.set(before);
                activity.give_back(who);
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
