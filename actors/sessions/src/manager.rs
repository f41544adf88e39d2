//! The session manager: an actor that owns all messages under way.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message as ActixMessage, MessageResult};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::oneshot;
use windlass_line::Line;
use windlass_line::clock::Clock;
use windlass_line::failpoint;
use windlass_line::supervision::{
    Panic, Restarts, SurvivesPanics, TaskReply, Tasks, Unstarted, WeakTasks, guarded, keep_running,
};
use windlass_protocol::SessionKey;
use windlass_protocol::run::RunEnd;
use windlass_store::Store;

use super::error::{MessageInterrupted, SendError};
use super::in_flight::{IN_FLIGHT_LIMIT, Replaced};
use super::message::{Handover, Message, MessageHandle};
use super::outbox::{Outbox, PRUNE_EVERY};
use super::queued::{QueuedMessage, hand_over};
use crate::in_flight::State;

/// Messages to the session manager that may wait in its mailbox: it only begins tasks for them.
const MAILBOX: usize = 256;

/// The pause before the record of pending messages is read again after it could not be.
const READ_AGAIN: Duration = Duration::from_secs(10);

/// The parts of a session manager.
#[derive(Clone)]
pub struct SessionManagerParts {
    /// The seed of idempotency keys: the system's randomness, outside of tests.
    pub seed: [u8; 32],
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where messages are kept until their end; without one they are gone with the process.
    pub outbox: Option<Outbox>,
}

impl fmt::Debug for SessionManagerParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManagerParts")
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}

/// The actor that owns all messages under way: a task for each, and the tables that the tasks share with it.
///
/// A panic of a handler costs the message in hand only ([`SurvivesPanics`]); a panic in a message's task costs that task, and a
/// message on record is taken up again.
pub struct SessionManager {
    state: Rc<State>,
    /// Draws keys.
    rng: StdRng,
    /// The messages' tasks. All end with the actor.
    tasks: Tasks,
    /// Prunes the record.
    upkeep: Tasks,
    panics: Restarts,
}

/// The session manager's handle, for any thread. When the last one is dropped, the session manager stops.
#[derive(Clone)]
pub struct SessionManagerHandle {
    address: Addr<SessionManager>,
    /// For look-ups; only the manager sends the messages in it.
    pub(crate) store: Option<Arc<dyn Store>>,
}

impl fmt::Debug for SessionManagerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManagerHandle")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// Sends a message in its session's turn, and follows it.
struct SendMessage(Box<Message>);

/// Hands a message over to the gateway.
struct HandOver(Box<Message>);

/// Takes up the messages on record for a gateway that was added. Answered when the record was read once, be it in vain: a gateway is
/// not kept waiting for a store.
struct TakeUp(Arc<Line>);

/// Follows the message of this key, if it is under way.
struct FollowMessage(String);

/// A session or an agent was reset or deleted.
struct SessionGone(Arc<Line>, Replaced);

impl ActixMessage for SendMessage {
    type Result = TaskReply<Result<MessageHandle, SendError>>;
}

impl ActixMessage for HandOver {
    type Result = TaskReply<Result<Handover, SendError>>;
}

impl ActixMessage for TakeUp {
    type Result = TaskReply<()>;
}

impl ActixMessage for FollowMessage {
    type Result = TaskReply<Option<MessageHandle>>;
}

impl ActixMessage for SessionGone {
    type Result = ();
}

impl fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManager").finish_non_exhaustive()
    }
}

impl Actor for SessionManager {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        let state = Rc::clone(&self.state);
        self.upkeep.spawn(async move {
            keep_running("pruning", || state.clock.now(), || prune(Rc::clone(&state))).await;
        });
    }
}

impl SurvivesPanics for SessionManager {
    fn panicked(&mut self, panic: &Panic) {
        let _ = self.panics.panicked(self.state.clock.now(), panic);
    }
}

impl Handler<SendMessage> for SessionManager {
    type Result = MessageResult<SendMessage>;

    fn handle(&mut self, SendMessage(message): SendMessage, _: &mut Self::Context) -> Self::Result {
        self.answer("sessions::Send", |manager, answer| manager.send(*message, answer))
    }
}

impl Handler<HandOver> for SessionManager {
    type Result = MessageResult<HandOver>;

    fn handle(&mut self, HandOver(message): HandOver, _: &mut Self::Context) -> Self::Result {
        self.answer("sessions::HandOver", |manager, answer| {
            manager.hand_over(*message, answer);
        })
    }
}

impl Handler<TakeUp> for SessionManager {
    type Result = MessageResult<TakeUp>;

    fn handle(&mut self, TakeUp(line): TakeUp, _: &mut Self::Context) -> Self::Result {
        self.answer("sessions::TakeUp", |manager, answer| {
            let tasks = manager.tasks.downgrade();
            manager
                .tasks
                .spawn(take_up(Rc::clone(&manager.state), line, tasks, answer));
        })
    }
}

impl Handler<FollowMessage> for SessionManager {
    type Result = MessageResult<FollowMessage>;

    fn handle(&mut self, FollowMessage(key): FollowMessage, _: &mut Self::Context) -> Self::Result {
        self.answer("sessions::Delivery", |manager, answer| {
            let (following, follower) = MessageHandle::new(key.clone());
            let joined = manager.state.in_flight.join(&key, follower);
            let _ = answer.send(joined.then_some(following));
        })
    }
}

impl Handler<SessionGone> for SessionManager {
    type Result = ();

    fn handle(&mut self, SessionGone(line, replaced): SessionGone, _: &mut Self::Context) {
        self.guarded("sessions::SessionGone", |manager| {
            failpoint::reach("sessions.handler");
            manager.state.in_flight.replaced(&line, &replaced);
        });
    }
}

impl SessionManager {
    /// A session manager that does not run yet, and its handle.
    pub fn prepare(parts: SessionManagerParts) -> (Unstarted<Self>, SessionManagerHandle) {
        let store = parts.outbox.as_ref().map(|outbox| Arc::clone(outbox.store()));
        let (manager, address) = Unstarted::new(MAILBOX, move || Self {
            state: Rc::new(State::new(parts.outbox, parts.clock)),
            rng: StdRng::from_seed(parts.seed),
            tasks: Tasks::of("message"),
            upkeep: Tasks::of("pruning"),
            panics: Restarts::of("sessions"),
        });
        (manager, SessionManagerHandle { address, store })
    }

    /// Handles a message whose answer comes from a task.
    fn answer<M, T>(
        &mut self,
        name: &'static str,
        handle: impl FnOnce(&mut Self, oneshot::Sender<T>),
    ) -> MessageResult<M>
    where
        M: ActixMessage<Result = TaskReply<T>>,
    {
        let (sender, answer) = oneshot::channel();
        self.guarded(name, |manager| {
            failpoint::reach("sessions.handler");
            handle(manager, sender);
        });
        MessageResult(answer)
    }

    fn send(&mut self, message: Message, answer: oneshot::Sender<Result<MessageHandle, SendError>>) {
        let key = match self.key_of(&message) {
            Ok(key) => key,
            Err(error) => return drop(answer.send(Err(error))),
        };
        let Some(job) = job(&self.state, key.clone(), &message.line, &message.session) else {
            let _ = answer.send(Err(SendError::KeyTaken));
            return;
        };
        let (line, session) = (Arc::clone(&message.line), message.session.clone());
        let sent = job.send(message, MessageHandle::new(key.clone()), answer);
        self.tasks
            .spawn(to_the_end(Rc::clone(&self.state), line, key, session, sent));
    }

    /// The message's own key, or a fresh one; an error when too many messages are under way.
    fn key_of(&mut self, message: &Message) -> Result<String, SendError> {
        if self.state.in_flight.len() >= IN_FLIGHT_LIMIT {
            let limit = IN_FLIGHT_LIMIT;
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
        let handed_over = hand_over(Rc::clone(&self.state), message, key);
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = answer.closed() => {}
                end = handed_over => drop(answer.send(Ok(end))),
            }
        });
    }
}

impl SessionManagerHandle {
    /// Sends a message, once it is its session's turn, and follows it. With an [`Outbox`] it is on record when this returns, and
    /// it has one end even if this process is killed.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(&self, message: Message) -> Result<MessageHandle, SendError> {
        self.ask(SendMessage(Box::new(message))).await?
    }

    /// Sends a message and waits for its one end.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send_and_wait(&self, message: Message) -> Result<RunEnd, SendError> {
        Ok(self.send(message).await?.end().await?)
    }

    /// Takes up the messages on record for a gateway that was added, each in its session's turn. When this returns, they have
    /// their places before all later messages, unless the store can't be read: then they get them as soon as it can.
    pub async fn take_up(&self, line: Arc<Line>) {
        if self.store.is_some() {
            // A manager that stopped takes up nothing.
            let _ = self.ask(TakeUp(line)).await;
        }
    }

    pub(crate) async fn follow(&self, key: String) -> Result<Option<MessageHandle>, MessageInterrupted> {
        self.ask(FollowMessage(key)).await
    }

    /// Hands a message to the gateway exactly once, and returns when the gateway has taken it: for callers that keep their own
    /// record of it and do not wait for its answer. It neither waits for its session's turn nor goes on record here. Dropping
    /// the future calls it off, unless it was written by then.
    ///
    /// # Errors
    /// [`SendError::Interrupted`] and [`SendError::TooMany`].
    pub async fn hand_over(&self, message: Message) -> Result<Handover, SendError> {
        self.ask(HandOver(Box::new(message))).await?
    }

    pub(crate) async fn session_replaced(&self, line: &Arc<Line>, session: &SessionKey) {
        self.replaced(line, Replaced::Session(session.clone())).await;
    }

    pub(crate) async fn replaced(&self, line: &Arc<Line>, replaced: Replaced) {
        // A manager that stopped follows nothing.
        let _ = self.address.send(SessionGone(Arc::clone(line), replaced)).await;
    }

    async fn ask<M, T>(&self, message: M) -> Result<T, MessageInterrupted>
    where
        M: ActixMessage<Result = TaskReply<T>> + Send + 'static,
        T: Send + 'static,
        SessionManager: Handler<M>,
    {
        let answer = self.address.send(message).await.map_err(|_| MessageInterrupted)?;
        answer.await.map_err(|_| MessageInterrupted)
    }
}

/// A place in the session's line, taken in the order of the orders; nothing when the key is under way already.
fn job(state: &Rc<State>, key: String, line: &Line, session: &SessionKey) -> Option<QueuedMessage> {
    let place = state.in_flight.enter(key, line.id(), session)?;
    Some(QueuedMessage {
        turn: state.session_locks.queue(line, session),
        state: Rc::clone(state),
        place,
    })
}

/// Sees to it that a message that is on record comes to its end, past panics. After one it is taken up as after a restart: the
/// gateway is asked first. A message that is not on record ends with the panic: its handles end with `MessageInterrupted`.
async fn to_the_end(
    state: Rc<State>,
    line: Arc<Line>,
    key: String,
    session: SessionKey,
    first: impl Future<Output = ()>,
) {
    let mut restarts = Restarts::of("message");
    let mut end = guarded(first).await;
    while let Err(panic) = end {
        let rest = restarts.panicked(state.clock.now(), &panic);
        if state.outbox.is_none() {
            return;
        }
        tokio::time::sleep(rest.delay).await;
        let Some(job) = job(&state, key.clone(), &line, &session) else {
            return;
        };
        end = guarded(job.take_up(Arc::clone(&line))).await;
    }
}

/// Takes up the messages on record for a gateway. Answers when the record was read once, be it in vain: a gateway is not kept waiting for a
/// store.
async fn take_up(state: Rc<State>, line: Arc<Line>, tasks: WeakTasks, answer: oneshot::Sender<()>) {
    let Some(outbox) = &state.outbox else {
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
                    begin(&state, &tasks, &line, found.send.key, found.send.session_key);
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
fn begin(state: &Rc<State>, tasks: &Tasks, line: &Arc<Line>, key: String, session: SessionKey) {
    if let Some(job) = job(state, key.clone(), line, &session) {
        let taken_up = job.take_up(Arc::clone(line));
        tasks.spawn(to_the_end(Rc::clone(state), Arc::clone(line), key, session, taken_up));
    }
}

/// Never ends.
async fn prune(state: Rc<State>) {
    let Some(outbox) = &state.outbox else {
        return std::future::pending().await;
    };
    loop {
        failpoint::reach("sessions.pruning");
        if let Err(error) = outbox.prune(state.clock.wall().into()).await {
            tracing::warn!("ended messages can't be pruned: {error}");
        }
        // Before there is a look at those that nobody came for, so that a program that has just begun can add its gateways.
        tokio::time::sleep(PRUNE_EVERY).await;
        let in_flight = |key: &str| state.in_flight.has(key);
        match outbox.give_up(state.clock.wall().into(), in_flight).await {
            Ok(0) => {}
            Ok(messages) => tracing::warn!(messages, "messages were given up: their gateways were not added again"),
            Err(error) => tracing::warn!("messages whose gateways are gone can't be looked for: {error}"),
        }
    }
}
