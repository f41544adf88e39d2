//! An actor that runs, and the tasks that its handlers begin.

use std::cell::RefCell;
use std::future::Future;
use std::rc::{Rc, Weak};

use actix::{Actor, Addr, AsyncContext as _, Context};
use tokio::task::{JoinHandle, JoinSet, spawn_local};

use windlass_protocol::GatewayId;

use super::Panic;
use crate::stall_detector::instrument;

/// An actor that runs as a task of its own. Dropping this ends it.
///
/// Spawned and joined by hand: a joined task tells a panic from a clean end, an actix address does not.
pub(crate) struct Running<A: Actor<Context = Context<A>>> {
    pub(crate) address: Addr<A>,
    task: JoinHandle<()>,
}

impl<A: Actor<Context = Context<A>>> Running<A> {
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

impl<A: Actor<Context = Context<A>>> Drop for Running<A> {
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
