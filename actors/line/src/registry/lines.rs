//! The lines that run, and the tasks that keep them running.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use futures_util::FutureExt as _;
use futures_util::future::{Shared, join_all};
use tokio::task::{JoinHandle, spawn_local};
use windlass_protocol::GatewayId;

use super::{Inspection, Registration, RegistryError};
use crate::stall_detector::instrument;
use crate::supervision::{Begin, LineCommand, LineCommands, LineContext, LineControl, Restarts, guarded, supervise};

/// All lines of a shard, in the order of their ids, so that a run repeats. Cheap to clone; the clones share.
#[derive(Clone, Default)]
pub(crate) struct LineTable(Rc<RefCell<Lines>>);

#[derive(Default)]
struct Lines {
    running: BTreeMap<GatewayId, Running>,
    closing: BTreeMap<GatewayId, Closing>,
}

struct Running {
    line: Rc<LineContext>,
    control: LineControl,
    task: JoinHandle<()>,
    registration: Option<Registration>,
}

/// A line that was told to close.
struct Closing {
    control: LineControl,
    closed: Closed,
}

/// Comes when a line is closed.
type Closed = Shared<oneshot::Receiver<()>>;

impl LineTable {
    /// How many lines run.
    pub(crate) fn len(&self) -> usize {
        self.0.borrow().running.len()
    }

    /// Whether a line of this id runs or closes.
    pub(super) fn contains(&self, id: &GatewayId) -> bool {
        let lines = self.0.borrow();
        lines.running.contains_key(id) || lines.closing.contains_key(id)
    }

    pub(super) fn start(&self, line: Rc<LineContext>, first: Duration, registration: Option<Registration>) {
        let (control, commands) = LineControl::new();
        let id = line.id.clone();
        let supervised = keep_supervised(Rc::clone(&line), first, commands);
        let task = spawn_local(instrument("supervisor", Some(&id), supervised));
        let running = Running {
            line,
            control,
            task,
            registration,
        };
        self.0.borrow_mut().running.insert(id, running);
    }

    pub(super) fn inspect(&self, id: &GatewayId) -> Option<Inspection> {
        let lines = self.0.borrow();
        let line = &lines.running.get(id)?.line;
        let calls = &line.pending.lock().calls;
        Some(Inspection {
            calls: calls.counters(),
            in_flight: calls.in_flight(),
            waiting: calls.waiting(),
            subscribers: line.router.len(),
            parses: line.router.parses(),
            topics: line.topics.len(),
            resyncs: line.topics.counters(),
        })
    }

    pub(super) fn tell(&self, id: &GatewayId, command: LineCommand) -> Result<(), RegistryError> {
        let lines = self.0.borrow();
        let running = lines.running.get(id);
        let running = running.ok_or_else(|| RegistryError::NotThere(id.clone()))?;
        running.control.send(command);
        Ok(())
    }

    /// Closes a line; the future ends when it is closed, also for one that closes already. `None` where there is no such line.
    pub(super) fn stop(&self, id: &GatewayId, drain_until: Instant) -> Option<impl Future<Output = ()> + use<>> {
        let running = self.0.borrow_mut().running.remove(id);
        let closed = match running {
            Some(running) => self.close(running, drain_until),
            None => self.0.borrow().closing.get(id)?.closed.clone(),
        };
        Some(async move {
            let _ = closed.await;
        })
    }

    /// Closes all lines, and has those that close already take no longer than that.
    pub(crate) fn stop_all(&self, drain_until: Instant) -> impl Future<Output = ()> + use<> {
        let running = std::mem::take(&mut self.0.borrow_mut().running);
        for closing in self.0.borrow().closing.values() {
            closing.control.send(LineCommand::Stop { drain_until });
        }
        for running in running.into_values() {
            drop(self.close(running, drain_until));
        }
        let lines = self.0.borrow();
        let all: Vec<_> = lines.closing.values().map(|closing| closing.closed.clone()).collect();
        async move {
            join_all(all).await;
        }
    }

    /// In a task of its own: a registry that panics meanwhile takes no drain with it.
    fn close(&self, running: Running, drain_until: Instant) -> Closed {
        let Running {
            line,
            control,
            task,
            registration,
        } = running;
        let (done, closed) = oneshot::channel();
        let (id, closed) = (line.id.clone(), closed.shared());
        line.stopping.set(true);
        control.send(LineCommand::Stop { drain_until });
        let closing = Closing {
            control,
            closed: closed.clone(),
        };
        self.0.borrow_mut().closing.insert(id.clone(), closing);
        let roster = self.clone();
        spawn_local(async move {
            let _ = task.await;
            drop(line);
            roster.0.borrow_mut().closing.remove(&id);
            // Now its id is free, and then it is told.
            drop(registration);
            let _ = done.send(());
        });
        closed
    }
}

/// Runs a line's supervisor, and runs it again should it panic. The line's commands wait meanwhile.
async fn keep_supervised(line: Rc<LineContext>, first: Duration, commands: Rc<LineCommands>) {
    let mut restarts = Restarts::of("supervisor");
    let mut begin = Begin::Fresh(first);
    while let Err(panic) = guarded(supervise(Rc::clone(&line), begin, Rc::clone(&commands))).await {
        let rest = restarts.panicked(line.shard.clock.now(), &panic);
        begin = Begin::After(panic, rest);
    }
}
