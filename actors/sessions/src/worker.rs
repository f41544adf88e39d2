//! The session manager's actor: a task for each message.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context as ActorContext, Handler};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::{mpsc, oneshot};
use windlass_protocol::run::GatewayFacts;
use windlass_protocol::{GatewayId, SessionKey};

use super::error::SendError;
use super::job::{Job, hand_over};
use super::lanes::Lanes;
use super::message::{Following, Handover, Message};
use super::outbox::{Outbox, PRUNE_EVERY};
use super::under_way::{Replaced, UNDER_WAY_LIMIT, UnderWay};
use windlass_line::Line;
use windlass_line::clock::Clock;
use windlass_line::failpoint;
use windlass_line::supervision::{Restarts, Tasks, WeakTasks, guarded, keep_running, serve};
use windlass_line::turns::handling;

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
    /// To hand a message over.
    HandOver(Box<Message>, oneshot::Sender<Result<Handover, SendError>>),
    /// That a session or an agent was reset or deleted.
    Replaced(Arc<Line>, Replaced),
}

impl Order {
    const fn name(&self) -> &'static str {
        match self {
            Self::Send(..) => "sessions::Send",
            Self::TakeUp(..) => "sessions::TakeUp",
            Self::Follow(..) => "sessions::Follow",
            Self::HandOver(..) => "sessions::HandOver",
            Self::Replaced(..) => "sessions::Replaced",
        }
    }
}

impl actix::Message for Order {
    type Result = ();
}

/// What outlives an actor that panicked.
pub(super) struct Shared {
    pub(super) outbox: Option<Outbox>,
    clock: Arc<dyn Clock>,
    pub(super) lanes: Lanes,
    pub(super) under_way: UnderWay,
    /// What each gateway's hello let expect, and what it was seen to do.
    facts: RefCell<HashMap<GatewayId, (GatewayFacts, GatewayFacts)>>,
}

impl Shared {
    pub(super) fn new(outbox: Option<Outbox>, clock: Arc<dyn Clock>) -> Self {
        Self {
            outbox,
            clock,
            lanes: Lanes::default(),
            under_way: UnderWay::default(),
            facts: RefCell::default(),
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
    tasks: Tasks,
}

impl Actor for Worker {
    type Context = ActorContext<Self>;
}

impl Handler<Order> for Worker {
    type Result = ();

    fn handle(&mut self, order: Order, _: &mut Self::Context) {
        let _handling = handling(order.name());
        failpoint::reach("sessions.handler");
        match order {
            Order::Send(message, answer) => self.send(*message, answer),
            Order::TakeUp(line, answer) => {
                let taken_up = take_up(Rc::clone(&self.shared), line, self.tasks.downgrade(), answer);
                self.tasks.spawn(taken_up);
            }
            Order::Follow(key, answer) => {
                let (following, follower) = Following::new(key.clone());
                let joined = self.shared.under_way.join(&key, follower);
                let _ = answer.send(joined.then_some(following));
            }
            Order::HandOver(message, answer) => self.hand_over(*message, answer),
            Order::Replaced(line, replaced) => self.shared.under_way.replaced(&line, &replaced),
        }
    }
}

impl Worker {
    fn send(&mut self, message: Message, answer: oneshot::Sender<Result<Following, SendError>>) {
        let key = match self.key_of(&message) {
            Ok(key) => key,
            Err(error) => return drop(answer.send(Err(error))),
        };
        let Some(job) = job(&self.shared, key.clone(), &message.line, &message.session) else {
            let _ = answer.send(Err(SendError::KeyTaken));
            return;
        };
        let (line, session) = (Arc::clone(&message.line), message.session.clone());
        let sent = job.send(message, Following::new(key.clone()), answer);
        self.tasks
            .spawn(to_the_end(Rc::clone(&self.shared), line, key, session, sent));
    }
}

impl Worker {
    /// The message's own key, or a fresh one; an error when too many messages are under way.
    fn key_of(&mut self, message: &Message) -> Result<String, SendError> {
        if self.shared.under_way.len() >= UNDER_WAY_LIMIT {
            let limit = UNDER_WAY_LIMIT;
            return Err(SendError::TooMany { limit });
        }
        let fresh = || {
            let random = self.rng.random();
            uuid::Builder::from_random_bytes(random).into_uuid().to_string()
        };
        Ok(message.key.clone().unwrap_or_else(fresh))
    }

    fn hand_over(&mut self, message: Message, mut answer: oneshot::Sender<Result<Handover, SendError>>) {
        let key = match self.key_of(&message) {
            Ok(key) => key,
            Err(error) => return drop(answer.send(Err(error))),
        };
        let handed_over = hand_over(Rc::clone(&self.shared), message, key);
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = answer.closed() => {}
                end = handed_over => drop(answer.send(Ok(end))),
            }
        });
    }
}

/// A place in the session's line, taken in the order of the orders; nothing when the key is under way already.
fn job(shared: &Rc<Shared>, key: String, line: &Line, session: &SessionKey) -> Option<Job> {
    let place = shared.under_way.enter(key, line.id(), session)?;
    Some(Job {
        turn: shared.lanes.queue(line, session),
        shared: Rc::clone(shared),
        place,
    })
}

/// Sees to it that a message that is on record comes to its end, past panics. After one it is taken up as after a restart: the
/// gateway is asked first. One that is not on record ends with the panic: whoever follows it is told that it was let go.
async fn to_the_end(
    shared: Rc<Shared>,
    line: Arc<Line>,
    key: String,
    session: SessionKey,
    first: impl Future<Output = ()>,
) {
    let mut restarts = Restarts::of("message");
    let mut end = guarded(first).await;
    while let Err(panic) = end {
        let rest = restarts.panicked(shared.clock.now(), &panic);
        if shared.outbox.is_none() {
            return;
        }
        tokio::time::sleep(rest.delay).await;
        let Some(job) = job(&shared, key.clone(), &line, &session) else {
            return;
        };
        end = guarded(job.take_up(Arc::clone(&line))).await;
    }
}

/// Takes up what is on record for a gateway. Told when it was read once, be it in vain: a gateway is not kept waiting for a
/// store.
async fn take_up(shared: Rc<Shared>, line: Arc<Line>, tasks: WeakTasks, answer: oneshot::Sender<()>) {
    let Some(outbox) = &shared.outbox else {
        return;
    };
    let mut answer = Some(answer);
    let mut after = None;
    loop {
        match outbox.pending(line.id(), after).await {
            Ok(page) => {
                let (Some(last), Some(tasks)) = (page.last(), tasks.upgrade()) else {
                    return;
                };
                after = Some(last.position);
                for found in page {
                    begin(&shared, &tasks, &line, found.send.key, found.send.session_key);
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

/// Begins with a message on record, unless it is under way.
fn begin(shared: &Rc<Shared>, tasks: &Tasks, line: &Arc<Line>, key: String, session: SessionKey) {
    if let Some(job) = job(shared, key.clone(), line, &session) {
        let taken_up = job.take_up(Arc::clone(line));
        tasks.spawn(to_the_end(Rc::clone(shared), Arc::clone(line), key, session, taken_up));
    }
}

/// Never ends.
async fn prune(shared: Rc<Shared>) {
    let Some(outbox) = &shared.outbox else {
        return std::future::pending().await;
    };
    loop {
        failpoint::reach("sessions.pruning");
        if let Err(error) = outbox.prune(shared.clock.wall().into()).await {
            tracing::warn!("ended messages can't be pruned: {error}");
        }
        // Before there is a look at those that nobody came for, so that a program that has just begun can add its gateways.
        tokio::time::sleep(PRUNE_EVERY).await;
        let under_way = |key: &str| shared.under_way.has(key);
        match outbox.give_up(shared.clock.wall().into(), under_way).await {
            Ok(0) => {}
            Ok(messages) => tracing::warn!(messages, "messages were given up: their gateways were not added again"),
            Err(error) => tracing::warn!("messages whose gateways are gone can't be looked for: {error}"),
        }
    }
}

/// Takes orders until nobody gives any more.
pub(super) async fn run(shared: Shared, mut rng: StdRng, orders: mpsc::Receiver<Order>) {
    let (shared, tasks) = (Rc::new(shared), Tasks::of("message"));
    let now = || shared.clock.now();
    let worker = || Worker {
        shared: Rc::clone(&shared),
        rng: StdRng::from_seed(rng.random()),
        tasks: tasks.clone(),
    };
    tokio::select! {
        biased;
        () = serve("sessions", now, orders, worker) => {}
        () = keep_running("pruning", now, || prune(Rc::clone(&shared))) => {}
    }
}
