//! The session manager's actor: a task for each message.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext as _, Context as ActorContext, Handler};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet, spawn_local};
use windlass_protocol::run::GatewayFacts;
use windlass_protocol::{GatewayId, SessionKey};

use super::error::SendError;
use super::job::Job;
use super::lanes::Lanes;
use super::message::{Following, Message};
use super::outbox::{Outbox, PRUNE_EVERY};
use super::under_way::{UNDER_WAY_LIMIT, UnderWay};
use crate::Line;
use crate::clock::Clock;

/// The pause before the record of pending messages is read again after it could not be.
const READ_AGAIN: Duration = Duration::from_secs(10);

/// What the session manager is told.
#[derive(Debug)]
pub(super) enum Order {
    /// To send a message.
    Send(Box<Message>, oneshot::Sender<Result<Following, SendError>>),
    /// To take up what is on record for a gateway that was added.
    TakeUp(Arc<Line>, oneshot::Sender<()>),
    /// To have somebody else follow a message.
    Follow(String, oneshot::Sender<Option<Following>>),
    /// That a session was reset or deleted.
    Replaced(GatewayId, SessionKey),
}

impl actix::Message for Order {
    type Result = ();
}

/// Messages of a gateway that are on record and not under way.
struct Found {
    line: Arc<Line>,
    /// Their keys and sessions, in the order in which they go out.
    sends: Vec<(String, SessionKey)>,
}

impl actix::Message for Found {
    type Result = ();
}

/// What outlives an actor that panicked.
pub(super) struct Shared {
    pub(super) outbox: Option<Outbox>,
    clock: Arc<dyn Clock>,
    lanes: Lanes,
    under_way: UnderWay,
    /// What each gateway's hello let expect, and what it was seen to do.
    facts: RefCell<HashMap<GatewayId, (GatewayFacts, GatewayFacts)>>,
    /// The lines whose records were taken up.
    lines: RefCell<Vec<Arc<Line>>>,
}

impl Shared {
    pub(super) fn new(outbox: Option<Outbox>, clock: Arc<dyn Clock>) -> Self {
        Self {
            outbox,
            clock,
            lanes: Lanes::default(),
            under_way: UnderWay::default(),
            facts: RefCell::default(),
            lines: RefCell::default(),
        }
    }

    /// What is known of a gateway; less after it became another release.
    pub(super) fn facts(&self, gateway: &GatewayId, fresh: GatewayFacts) -> GatewayFacts {
        let mut known = self.facts.borrow_mut();
        let entry = known.entry(gateway.clone()).or_insert((fresh, fresh));
        if entry.0 != fresh {
            *entry = (fresh, fresh);
        }
        entry.1
    }

    pub(super) fn learned(&self, gateway: &GatewayId, facts: GatewayFacts) {
        if let Some(entry) = self.facts.borrow_mut().get_mut(gateway) {
            entry.1 = facts;
        }
    }
}

struct Worker {
    shared: Rc<Shared>,
    rng: StdRng,
    tasks: JoinSet<()>,
}

impl Actor for Worker {
    type Context = ActorContext<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        if self.shared.outbox.is_some() {
            self.tasks.spawn_local(prune(Rc::clone(&self.shared)));
        }
    }
}

impl Handler<Order> for Worker {
    type Result = ();

    fn handle(&mut self, order: Order, context: &mut Self::Context) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                tracing::error!("a message's task ended by a panic");
            }
        }
        match order {
            Order::Send(message, answer) => self.send(*message, answer),
            Order::TakeUp(line, answer) => {
                let found = take_up(Rc::clone(&self.shared), line, context.address(), answer);
                self.tasks.spawn_local(found);
            }
            Order::Follow(key, answer) => {
                let (following, follower) = Following::new(key.clone());
                let joined = self.shared.under_way.join(&key, follower);
                let _ = answer.send(joined.then_some(following));
            }
            Order::Replaced(gateway, session) => self.shared.under_way.replaced(&gateway, &session),
        }
    }
}

impl Handler<Found> for Worker {
    type Result = ();

    fn handle(&mut self, found: Found, _: &mut Self::Context) {
        for (key, session) in found.sends {
            if let Some(job) = self.job(key, &found.line, &session) {
                self.tasks.spawn_local(job.take_up(Arc::clone(&found.line)));
            }
        }
    }
}

impl Worker {
    fn send(&mut self, message: Message, answer: oneshot::Sender<Result<Following, SendError>>) {
        if self.shared.under_way.len() >= UNDER_WAY_LIMIT {
            let limit = UNDER_WAY_LIMIT;
            let _ = answer.send(Err(SendError::TooMany { limit }));
            return;
        }
        let fresh = || {
            let random = self.rng.random();
            uuid::Builder::from_random_bytes(random).into_uuid().to_string()
        };
        let key = message.key.clone().unwrap_or_else(fresh);
        let Some(job) = self.job(key.clone(), &message.line, &message.session) else {
            let _ = answer.send(Err(SendError::KeyTaken));
            return;
        };
        self.tasks.spawn_local(job.send(message, Following::new(key), answer));
    }

    /// A place in the session's line, taken in the order of the orders; nothing when the key is under way already.
    fn job(&self, key: String, line: &Line, session: &SessionKey) -> Option<Job> {
        let place = self.shared.under_way.enter(key, line.id(), session)?;
        Some(Job {
            turn: self.shared.lanes.queue(line.id(), session),
            shared: Rc::clone(&self.shared),
            place,
        })
    }
}

/// Finds what is on record for a gateway. Told when it was read once, be it in vain: a gateway is not kept waiting for a store.
async fn take_up(shared: Rc<Shared>, line: Arc<Line>, worker: Addr<Worker>, answer: oneshot::Sender<()>) {
    let Some(outbox) = &shared.outbox else {
        return;
    };
    {
        let mut lines = shared.lines.borrow_mut();
        lines.retain(|known| known.id() != line.id());
        lines.push(Arc::clone(&line));
    }
    let mut answer = Some(answer);
    let mut after = None;
    loop {
        match outbox.pending(line.id(), after).await {
            Ok(page) => {
                let Some(last) = page.last() else {
                    return;
                };
                after = Some(last.position);
                let sends = page.into_iter().map(|found| (found.send.key, found.send.session_key));
                let found = Found {
                    line: Arc::clone(&line),
                    sends: sends.collect(),
                };
                if worker.send(found).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(gateway = %line.id(), "pending messages can't be read, and are tried again: {error}");
                answer.take();
                tokio::time::sleep(READ_AGAIN).await;
            }
        }
    }
}

async fn prune(shared: Rc<Shared>) {
    let Some(outbox) = &shared.outbox else {
        return;
    };
    loop {
        if let Err(error) = outbox.prune(shared.clock.wall().into()).await {
            tracing::warn!("ended messages can't be pruned: {error}");
        }
        tokio::time::sleep(PRUNE_EVERY).await;
    }
}

/// An actor, gone with all its tasks when this is dropped.
struct Running {
    address: Addr<Worker>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(shared: &Rc<Shared>, seed: [u8; 32]) -> Self {
        let context = ActorContext::new();
        let address = context.address();
        let worker = Worker {
            shared: Rc::clone(shared),
            rng: StdRng::from_seed(seed),
            tasks: JoinSet::new(),
        };
        let task = spawn_local(context.into_future(worker));
        Self { address, task }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes orders on, and puts another actor in the place of one that ended.
pub(super) async fn run(shared: Shared, mut rng: StdRng, mut orders: mpsc::Receiver<Order>) {
    let shared = Rc::new(shared);
    let mut worker = Running::start(&shared, rng.random());
    while let Some(order) = orders.recv().await {
        if worker.task.is_finished() {
            tracing::error!("the session manager's actor ended; another takes its place");
            worker = Running::start(&shared, rng.random());
            let lines = shared.lines.borrow().clone();
            for line in lines {
                // What was under way and is on record goes on.
                let (answer, _) = oneshot::channel();
                let _ = worker.address.send(Order::TakeUp(line, answer)).await;
            }
        }
        if worker.address.send(order).await.is_err() {
            tracing::error!("the session manager's actor ended with an order in hand");
        }
    }
}
