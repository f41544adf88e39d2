//! The lines that run, and the tasks that keep them running.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_local};
use windlass_protocol::GatewayId;

use super::{Command, Inspection};
use crate::supervision::{LineCommand, LineContext, supervise};
use crate::telemetry;

/// Commands that may wait for one line: an operator's, one at a time, and a stop.
const COMMANDS: usize = 8;

/// How long a supervisor that panicked itself rests. That is a bug of ours; this keeps it from burning a core.
const SUPERVISOR_REST: Duration = Duration::from_secs(1);

/// All lines of a machine, in the order of their ids, so that a run repeats. Cheap to clone; the clones share.
#[derive(Clone, Default)]
pub(crate) struct Roster(Rc<RefCell<BTreeMap<GatewayId, Running>>>);

struct Running {
    line: Rc<LineContext>,
    commands: mpsc::Sender<LineCommand>,
    task: JoinHandle<()>,
}

impl Roster {
    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    pub(super) fn contains(&self, id: &GatewayId) -> bool {
        self.0.borrow().contains_key(id)
    }

    pub(super) fn start(&self, line: Rc<LineContext>, first: Duration) {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let id = line.id.clone();
        let task = spawn_local(keep_supervised(
            Rc::clone(&line),
            first,
            Rc::new(RefCell::new(receiver)),
        ));
        self.0.borrow_mut().insert(id, Running { line, commands, task });
    }

    pub(super) fn inspect(&self, id: &GatewayId) -> Option<Inspection> {
        let lines = self.0.borrow();
        let line = &lines.get(id)?.line;
        let calls = &line.desk.borrow().calls;
        Some(Inspection {
            calls: calls.counters(),
            in_flight: calls.in_flight(),
            waiting: calls.waiting(),
            subscribers: line.router.len(),
            parses: line.router.parses(),
            topics: line.declarations.len(),
            resyncs: line.declarations.counters(),
        })
    }

    pub(super) fn tell(&self, id: &GatewayId, command: Command) -> impl Future<Output = Result<(), ()>> + use<> {
        let commands = self.0.borrow().get(id).map(|running| running.commands.clone());
        async move { commands.ok_or(())?.send(command.into()).await.map_err(|_| ()) }
    }

    pub(super) fn stop(&self, id: &GatewayId, drain_until: Instant) -> impl Future<Output = Result<(), ()>> + use<> {
        let running = self.0.borrow_mut().remove(id);
        async move {
            running.ok_or(())?.stop(drain_until).await;
            Ok(())
        }
    }

    pub(super) fn stop_all(&self, drain_until: Instant) -> impl Future<Output = ()> + use<> {
        let lines = std::mem::take(&mut *self.0.borrow_mut());
        let all: Vec<_> = lines.into_values().map(|running| running.stop(drain_until)).collect();
        async move {
            join_all(all).await;
        }
    }
}

impl Running {
    async fn stop(self, drain_until: Instant) {
        let _ = self.commands.send(LineCommand::Stop { drain_until }).await;
        drop(self.commands);
        let _ = self.task.await;
    }
}

/// Runs a line's supervisor, and runs it again should it panic.
async fn keep_supervised(line: Rc<LineContext>, first: Duration, commands: Rc<RefCell<mpsc::Receiver<LineCommand>>>) {
    let mut delay = first;
    while let Err(error) = spawn_local(supervise(Rc::clone(&line), delay, Rc::clone(&commands))).await {
        if error.is_cancelled() {
            return;
        }
        telemetry::restarted("supervisor");
        tracing::error!(gateway = %line.id, "a line's supervisor panicked; it is started again: {error}");
        delay = SUPERVISOR_REST;
    }
}
