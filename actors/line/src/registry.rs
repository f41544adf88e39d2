//! The registry of a shard: starts, changes and stops the line of each gateway.
//!
//! The actor owns the table of its lines. A panic in a handler costs the request in hand ([`SurvivesPanics`]); the table stays. The end
//! of the actor closes the lines: that is why [`Shard::run`](crate::shard::Shard::run) holds the table too.

mod directory;
mod messages;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler, WrapFuture as _};
use futures_channel::oneshot;
use futures_util::FutureExt as _;
use futures_util::future::{Shared, join_all};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::{JoinHandle, JoinSet, spawn_local};
use windlass_protocol::GatewayId;
use windlass_protocol::time::after;

pub use directory::GatewayDirectory;
pub(crate) use messages::{
    Addition, DirectoryEntry, DirectoryTable, HostedFuture, Registration, RegistryMessage, RegistryRequest, ReplySender,
};
pub use messages::{Inspection, OnceAdded, RegistryError};

use crate::failpoint;
use crate::line::LineContext;
use crate::shard::ShardContext;
use crate::stall_detector::instrument;
use crate::supervision::{
    Begin, LineCommand, LineCommands, LineControl, Panic, Restarts, SurvivesPanics, Tasks, guarded, supervise,
};

/// The actor of a shard. Its one message is [`RegistryMessage`].
pub(crate) struct GatewayRegistry {
    shard: Rc<ShardContext>,
    lines: LineTable,
    rng: StdRng,
    panics: Restarts,
    /// Futures of others that run on this thread.
    hosted: Tasks,
    /// Answers that wait for something: a line that drains, or the steps after an addition.
    answers: JoinSet<()>,
}

impl GatewayRegistry {
    /// A fleet is started over this long for each of its gateways, so that it does not strike in step; 10,000 gateways
    /// reach the bound below, a handful start at once.
    const START_SPREAD: Duration = Duration::from_micros(100);
    /// Longest delay of a first attempt. How many attempts are under way at a time has a bound of its own.
    const MAX_START_SPREAD: Duration = Duration::from_secs(1);

    pub(crate) fn new(shard: Rc<ShardContext>, lines: LineTable, hosted: Tasks, seed: u64) -> Self {
        Self {
            shard,
            lines,
            rng: StdRng::seed_from_u64(seed),
            panics: Restarts::of("registry"),
            hosted,
            answers: JoinSet::new(),
        }
    }

    fn first_delay(&mut self) -> Duration {
        let fleet = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        let spread = Self::START_SPREAD.saturating_mul(fleet).min(Self::MAX_START_SPREAD);
        spread.mul_f64(self.rng.random_range(0.0..=1.0))
    }

    fn add(&mut self, addition: Addition, answer: ReplySender) {
        failpoint::reach("registry.add");
        let Addition {
            registration,
            spec,
            backend,
            added,
        } = addition;
        if self.lines.contains(&spec.id) {
            let _ = answer.send(Err(RegistryError::AlreadyThere(spec.id)));
            return;
        }
        let first = self.first_delay();
        let seed = self.rng.random();
        let line = Rc::new(LineContext::new(spec, backend, Rc::clone(&self.shard), seed));
        self.lines.start(line, first, registration);
        match added {
            None => drop(answer.send(Ok(()))),
            // A task of its own, so that it is done although the caller went away.
            Some(added) => self.answer_later(async move {
                added.await;
                let _ = answer.send(Ok(()));
            }),
        }
    }

    fn send_command(&self, id: &GatewayId, command: LineCommand, answer: ReplySender) {
        failpoint::reach("registry.tell");
        let _ = answer.send(self.lines.send_command(id, command));
    }

    /// Closes a line. A removal that was begun is carried out and answered, also after a panic.
    fn remove(&mut self, id: &GatewayId, drain_until: Instant, answer: ReplySender) {
        let Some(closed) = self.lines.stop(id, drain_until) else {
            let _ = answer.send(Err(RegistryError::NotThere(id.clone())));
            return;
        };
        self.answer_later(async move {
            let waited = guarded(async move {
                closed.await;
                failpoint::reach("registry.removed");
            });
            if let Err(panic) = waited.await {
                tracing::error!("the answer to a removal panicked; the line is closed: {panic}");
            }
            let _ = answer.send(Ok(()));
        });
    }

    fn answer_later(&mut self, answer: impl Future<Output = ()> + 'static) {
        while self.answers.try_join_next().is_some() {}
        self.answers.spawn_local(answer);
    }

    /// Closes all lines. The mailbox waits meanwhile; its messages are dropped with the actor.
    fn stop(&mut self, drain_until: Instant, answer: ReplySender, ctx: &mut Context<Self>) {
        // In the guard for the sake of the test: a panic does not keep the lines open.
        let _ = self.guarded("registry::Stop", |_| failpoint::reach("registry.stop"));
        let closed = self.lines.stop_all(drain_until);
        let mut answers = std::mem::take(&mut self.answers);
        let stopped = async move {
            closed.await;
            while answers.join_next().await.is_some() {}
        };
        ctx.wait(stopped.into_actor(self).map(|(), _, ctx| {
            let _ = answer.send(Ok(()));
            ctx.stop();
        }));
    }

    /// Runs a future of another part until it ends, or the shard stops.
    pub(crate) fn host(hosted: &Tasks, make: HostedFuture) {
        hosted.spawn(async move {
            // It restarts by itself where that is of use; a panic that ends it must not go unseen.
            if let Err(panic) = guarded(make()).await {
                tracing::error!("a future that a shard hosts ended by a panic: {panic}");
            }
        });
    }
}

impl Actor for GatewayRegistry {
    type Context = Context<Self>;
}

impl SurvivesPanics for GatewayRegistry {
    fn panicked(&mut self, panic: &Panic) {
        let _ = self.panics.panicked(self.shard.clock.now(), panic);
    }
}

impl Handler<RegistryMessage> for GatewayRegistry {
    type Result = ();

    fn handle(&mut self, RegistryMessage { request, place }: RegistryMessage, ctx: &mut Self::Context) {
        // Dequeued out of the mailbox: the next one may come.
        drop(place);
        // After a panic the answer is dropped, which the caller is told as a fault.
        let handled = match request {
            RegistryRequest::Add(addition, answer) => {
                self.guarded("registry::Add", |actor| actor.add(*addition, answer))
            }
            RegistryRequest::Update(spec, answer) => self.guarded("registry::Update", |actor| {
                let id = spec.id.clone();
                actor.send_command(&id, LineCommand::Update(spec), answer);
            }),
            RegistryRequest::ReconnectNow(id, answer) => self.guarded("registry::ReconnectNow", |actor| {
                actor.send_command(&id, LineCommand::ReconnectNow, answer);
            }),
            RegistryRequest::Inspect(id, answer) => self.guarded("registry::Inspect", |actor| {
                let found = actor.lines.inspect(&id).ok_or(RegistryError::NotThere(id));
                let _ = answer.send(found);
            }),
            RegistryRequest::Remove(id, drain, answer) => {
                let drain_until = after(self.shard.clock.now(), drain);
                self.guarded("registry::Remove", |actor| actor.remove(&id, drain_until, answer))
            }
            RegistryRequest::Host(make) => self.guarded("registry::Host", |actor| Self::host(&actor.hosted, make)),
            RegistryRequest::Stop(drain, answer) => {
                let drain_until = after(self.shard.clock.now(), drain);
                self.stop(drain_until, answer, ctx);
                Some(())
            }
        };
        let _ = handled;
    }
}

/// All lines of a shard, in the order of their ids, so that a run repeats. Cheap to clone; the clones share.
#[derive(Clone, Default)]
pub(crate) struct LineTable(Rc<RefCell<Lines>>);

#[derive(Default)]
struct Lines {
    running: BTreeMap<GatewayId, RunningLine>,
    closing: BTreeMap<GatewayId, ClosingLine>,
}

struct RunningLine {
    line: Rc<LineContext>,
    control: LineControl,
    task: JoinHandle<()>,
    registration: Option<Registration>,
}

/// A line that was told to close.
struct ClosingLine {
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
    fn contains(&self, id: &GatewayId) -> bool {
        let lines = self.0.borrow();
        lines.running.contains_key(id) || lines.closing.contains_key(id)
    }

    fn start(&self, line: Rc<LineContext>, first: Duration, registration: Option<Registration>) {
        let (control, commands) = LineControl::new();
        let id = line.id.clone();
        let supervised = keep_supervised(Rc::clone(&line), first, commands);
        let task = spawn_local(instrument("supervisor", Some(&id), supervised));
        let running = RunningLine {
            line,
            control,
            task,
            registration,
        };
        self.0.borrow_mut().running.insert(id, running);
    }

    fn inspect(&self, id: &GatewayId) -> Option<Inspection> {
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

    fn send_command(&self, id: &GatewayId, command: LineCommand) -> Result<(), RegistryError> {
        let lines = self.0.borrow();
        let running = lines.running.get(id);
        let running = running.ok_or_else(|| RegistryError::NotThere(id.clone()))?;
        running.control.send(command);
        Ok(())
    }

    /// Closes a line; the future ends when it is closed, also for one that closes already. `None` where there is no such line.
    fn stop(&self, id: &GatewayId, drain_until: Instant) -> Option<impl Future<Output = ()> + use<>> {
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
    fn close(&self, running: RunningLine, drain_until: Instant) -> Closed {
        let RunningLine {
            line,
            control,
            task,
            registration,
        } = running;
        let (done, closed) = oneshot::channel();
        let (id, closed) = (line.id.clone(), closed.shared());
        line.stopping.set(true);
        control.send(LineCommand::Stop { drain_until });
        let closing = ClosingLine {
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
