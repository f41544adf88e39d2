//! Stopping at a chosen request: where a client that is to be killed just then is killed.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Where a request is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stop {
    /// It arrived, and is not executed.
    BeforeExecution,
    /// It is executed, and not answered.
    BeforeAnswer,
}

/// A stop that was ordered; got from [`Script::freeze_at`](crate::Script::freeze_at).
#[derive(Debug)]
pub struct Frozen(oneshot::Receiver<String>);

impl Frozen {
    /// Waits until a request was stopped, and tells its method; nothing when another stop was ordered in its place, or the gateway
    /// is gone.
    pub async fn reached(&mut self) -> Option<String> {
        (&mut self.0).await.ok()
    }
}

/// The one stop that is ordered, and what was stopped so far.
#[derive(Debug, Default)]
pub(crate) struct Freezer(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    order: Option<Order>,
    /// Connections on which nothing happens any more.
    frozen: HashSet<u64>,
}

#[derive(Debug)]
struct Order {
    /// Requests that go through before it.
    before: u64,
    stop: Stop,
    reached: oneshot::Sender<String>,
}

/// What is done with a request.
pub(crate) enum Fate {
    /// As ever.
    Pass,
    /// Nothing.
    Ignore,
    /// It is executed, and this is told then.
    ExecuteOnly(Reached),
}

/// Tells that a request was stopped.
pub(crate) struct Reached(oneshot::Sender<String>);

impl Reached {
    pub(crate) fn tell(self, method: &str) {
        // Whoever ordered it may have gone.
        let _ = self.0.send(method.to_owned());
    }
}

impl Freezer {
    pub(crate) fn order(&self, nth: u64, stop: Stop) -> Frozen {
        let (reached, receiver) = oneshot::channel();
        let before = nth.saturating_sub(1);
        self.state().order = Some(Order { before, stop, reached });
        Frozen(receiver)
    }

    pub(crate) fn forget(&self) {
        self.state().order = None;
    }

    /// Counts a request, and decides about it.
    pub(crate) fn fate(&self, conn: u64, method: &str) -> Fate {
        let mut state = self.state();
        if state.frozen.contains(&conn) {
            return Fate::Ignore;
        }
        let Some(order) = &mut state.order else {
            return Fate::Pass;
        };
        if order.before > 0 {
            order.before -= 1;
            return Fate::Pass;
        }
        let Some(Order { stop, reached, .. }) = state.order.take() else {
            return Fate::Pass;
        };
        state.frozen.insert(conn);
        match stop {
            Stop::BeforeExecution => {
                Reached(reached).tell(method);
                Fate::Ignore
            }
            Stop::BeforeAnswer => Fate::ExecuteOnly(Reached(reached)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
