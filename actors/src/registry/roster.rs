//! The lines that run, and the tasks that keep them running.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_channel::mpsc;
use futures_util::SinkExt as _;
use futures_util::future::join_all;
use tokio::task::{JoinHandle, spawn_local};
use windlass_protocol::GatewayId;

use super::{Command, Inspection};
use crate::supervision::{Begin, LineCommand, LineContext, Restarts, guarded, supervise};
use crate::turns::named;

/// Commands that may wait for one line: an operator's, one at a time, and a stop.
const COMMANDS: usize = 8;

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
        let supervised = keep_supervised(Rc::clone(&line), first, Rc::new(RefCell::new(receiver)));
        let task = spawn_local(named("supervisor", Some(&id), supervised));
        self.0.borrow_mut().insert(id, Running { line, commands, task });
    }

    pub(super) fn inspect(&self, id: &GatewayId) -> Option<Inspection> {
        let lines = self.0.borrow();
        let line = &lines.get(id)?.line;
        let calls = &line.desk.lock().calls;
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
        async move {
            let mut commands = commands.ok_or(())?;
            commands.send(command.into()).await.map_err(|_| ())
        }
    }

    pub(super) fn stop(&self, id: &GatewayId, drain_until: Instant) -> impl Future<Output = Result<(), ()>> + use<> {
        let running = self.0.borrow_mut().remove(id);
        // A task of its own: a registry that panics meanwhile takes no drain with it.
        let closing = running.map(|running| spawn_local(running.stop(drain_until)));
        async move {
            let _ = closing.ok_or(())?.await;
            Ok(())
        }
    }

    pub(crate) fn stop_all(&self, drain_until: Instant) -> impl Future<Output = ()> + use<> {
        let lines = std::mem::take(&mut *self.0.borrow_mut());
        let all: Vec<_> = lines
            .into_values()
            .map(|running| spawn_local(running.stop(drain_until)))
            .collect();
        async move {
            join_all(all).await;
        }
    }
}

impl Running {
    async fn stop(mut self, drain_until: Instant) {
        let _ = self.commands.send(LineCommand::Stop { drain_until }).await;
        drop(self.commands);
        let _ = self.task.await;
    }
}

/// Runs a line's supervisor, and runs it again should it panic. The line's commands wait meanwhile.
async fn keep_supervised(line: Rc<LineContext>, first: Duration, commands: Rc<RefCell<mpsc::Receiver<LineCommand>>>) {
    let mut restarts = Restarts::of("supervisor");
    let mut begin = Begin::Fresh(first);
    while let Err(panic) = guarded(supervise(Rc::clone(&line), begin, Rc::clone(&commands))).await {
        let rest = restarts.panicked(line.machine.clock.now(), &panic);
        begin = Begin::After(panic, rest);
    }
}
