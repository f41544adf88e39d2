//! The session manager: messages that are sent once and followed to their one end, and all else that is done with sessions.
//!
//! What is known of a run's traps on nine releases stands in [`windlass_protocol::run`]; this gives it events, answers and
//! time, and keeps the turns of a session apart. What is known of sessions themselves stands in `rules`.

mod change;
mod client;
mod error;
mod follow;
mod history;
mod job;
mod lanes;
mod life;
mod list;
mod look;
mod message;
mod outbox;
pub mod refusals;
pub mod roster;
mod rules;
#[cfg(test)]
mod tests;
mod under_way;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, oneshot};

pub use change::{DeleteOutcome, Ensured, ResetOutcome};
pub use client::{ClientAttempts, GatewayClient, offers_method};
pub use error::{AskError, DeleteError, EnsureError, HistoryError, Interrupted, ListError, PatchError, SendError};
pub use history::{HISTORY_PAGE, HistoryCursor, HistoryDelta, HistoryPage, HistoryQuery};
pub use list::{SESSIONS_LIMIT, SessionQuery};
pub use look::SessionsStatus;
pub use message::{Following, Handover, Message};
pub use outbox::{ENDS_KEPT, EXPIRES_AFTER, Outbox, PENDING_KEPT, PendingMessage};
use under_way::Replaced;
pub use under_way::UNDER_WAY_LIMIT;
pub use windlass_protocol::run::{Progress as RunProgress, ResendAfterLoss, RunEnd};

use windlass_protocol::{AgentId, RetryPolicy, SessionKey};
use windlass_store::{ChatSend, Store, StoreError};

use windlass_line::Line;
use windlass_line::clock::Clock;
use worker::{Order, Shared};

/// Orders that may wait for the session manager; it only starts tasks for them.
const ORDERS: usize = 256;

/// What a session manager is made of.
#[derive(Clone)]
pub struct SessionManagerParts {
    /// What keys are drawn from: the system's randomness, outside of tests.
    pub seed: [u8; 32],
    /// Where time is read.
    pub clock: Arc<dyn Clock>,
    /// Where messages are kept until their end; without one they are gone with the process.
    pub outbox: Option<Outbox>,
}

impl std::fmt::Debug for SessionManagerParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionManagerParts")
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}

/// The session manager, before it runs.
#[derive(Debug)]
pub struct SessionManager {
    parts: SessionManagerParts,
    orders: mpsc::Receiver<Order>,
}

/// The session manager's handle, for any thread. When the last one is dropped, it stops.
#[derive(Debug, Clone)]
pub struct SessionManagerHandle {
    orders: mpsc::Sender<Order>,
    /// To look into; the right to send what is in it is the manager's.
    store: Option<Arc<dyn Store>>,
}

impl SessionManager {
    /// A session manager and its handle.
    pub fn new(parts: SessionManagerParts) -> (Self, SessionManagerHandle) {
        let (sender, orders) = mpsc::channel(ORDERS);
        let handle = SessionManagerHandle {
            orders: sender,
            store: parts.outbox.as_ref().map(|outbox| Arc::clone(outbox.store())),
        };
        (Self { parts, orders }, handle)
    }

    /// Runs until the last handle is dropped. Must be polled within a `LocalSet` (or an actix system) with tokio's time.
    pub async fn run(self) {
        let SessionManagerParts { seed, clock, outbox } = self.parts;
        worker::run(Shared::new(outbox, clock), StdRng::from_seed(seed), self.orders).await;
    }
}

impl SessionManagerHandle {
    /// Sends a message, once it is its session's turn, and follows it. With an [`Outbox`] it is on record when this returns, and
    /// whatever happens to this process it has one end.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(&self, message: Message) -> Result<Following, SendError> {
        self.ask(|answer| Order::Send(Box::new(message), answer)).await?
    }

    /// Sends a message and waits for its one end.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send_and_wait(&self, message: Message) -> Result<RunEnd, SendError> {
        Ok(self.send(message).await?.end().await?)
    }

    /// Takes up what is on record for a gateway that was added, each message in its session's turn. When this returns, they have
    /// their places before all that is sent later, unless the store can't be read: then they have them as soon as it can.
    pub async fn take_up(&self, line: Arc<Line>) {
        if self.store.is_some() {
            // A manager that stopped takes up nothing.
            let _ = self.ask(|answer| Order::TakeUp(line, answer)).await;
        }
    }

    async fn follow(&self, key: String) -> Result<Option<Following>, Interrupted> {
        self.ask(|answer| Order::Follow(key, answer)).await
    }

    /// Hands a message to the gateway exactly once, and returns when the gateway has taken it: for callers that keep their own
    /// record of it and do not wait for its answer. It neither waits for its session's turn nor goes on record here. Dropping
    /// the future calls it off, unless it was written by then.
    ///
    /// # Errors
    /// [`SendError::Interrupted`] and [`SendError::TooMany`].
    pub async fn hand_over(&self, message: Message) -> Result<Handover, SendError> {
        self.ask(|answer| Order::HandOver(Box::new(message), answer)).await?
    }

    async fn session_replaced(&self, line: &Arc<Line>, session: &SessionKey) {
        self.replaced(line, Replaced::Session(session.clone())).await;
    }

    async fn replaced(&self, line: &Arc<Line>, replaced: Replaced) {
        let order = Order::Replaced(Arc::clone(line), replaced);
        // A manager that stopped follows nothing.
        let _ = self.orders.send(order).await;
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Interrupted> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(order(answer)).await.map_err(|_| Interrupted)?;
        answered.await.map_err(|_| Interrupted)
    }
}

/// The sessions of one gateway. Cheap to clone, usable from any thread.
///
/// Operations wait for a line that is down, for as long as they may take ([`timeout`](Self::timeout)). What can be done twice is
/// done again by itself when the line breaks under it; of what can't, the error says that its outcome is not known.
#[derive(Debug, Clone)]
pub struct Sessions {
    client: GatewayClient,
    manager: SessionManagerHandle,
}

impl Sessions {
    /// The sessions at the other end of a line.
    pub const fn new(line: Arc<Line>, manager: SessionManagerHandle) -> Self {
        Self {
            client: GatewayClient::new(line),
            manager,
        }
    }

    /// Sets how long each call to the gateway may take from here on, the wait for the line included; 30 s by default. Messages
    /// have [their own limit](Message::give_up_after).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.client = self.client.with_timeout(timeout);
        self
    }

    /// Makes calls again from here on while their failure is a passing one and the policy's budget lasts. `seed` is for the
    /// jitter.
    pub fn retry(mut self, policy: RetryPolicy, seed: u64) -> Self {
        self.client = self.client.with_retry(policy, seed);
        self
    }

    /// The client by which the calls are made.
    pub const fn client(&self) -> &GatewayClient {
        &self.client
    }

    /// The gateway's line.
    pub const fn line(&self) -> &Arc<Line> {
        self.client.line()
    }

    /// Prepares a message to a session, which the gateway makes if there is none.
    pub fn message(&self, session: SessionKey, text: impl Into<String>) -> Message {
        Message::new(Arc::clone(self.line()), session, text)
    }

    /// Sends a message, when the messages before it in its session are over, and follows it.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(&self, message: Message) -> Result<Following, SendError> {
        self.manager.send(message).await
    }

    /// Sends a message and waits for its one end.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send_and_wait(&self, message: Message) -> Result<RunEnd, SendError> {
        self.manager.send_and_wait(message).await
    }

    /// Hands a message to the gateway exactly once, and returns when the gateway has taken it. See
    /// [`SessionManagerHandle::hand_over`].
    ///
    /// # Errors
    /// [`SendError::Interrupted`] and [`SendError::TooMany`].
    pub async fn hand_over(&self, message: Message) -> Result<Handover, SendError> {
        self.manager.hand_over(message).await
    }

    /// Tells the messages that are followed in an agent's sessions that the agent was deleted.
    pub async fn agent_deleted(&self, agent: &AgentId) {
        self.manager.replaced(self.line(), Replaced::Agent(agent.clone())).await;
    }

    /// Follows a message that is under way, from its text so far on: one that an earlier process began, for example. Nothing when
    /// there is none with this key; [`on_record`](Self::on_record) tells how one ended.
    ///
    /// # Errors
    /// [`Interrupted`], when Windlass was shut down.
    pub async fn following(&self, key: impl Into<String>) -> Result<Option<Following>, Interrupted> {
        self.manager.follow(key.into()).await
    }

    /// The messages to this gateway that are on record and have no end yet, in the order in which they were asked for. Without an
    /// [`Outbox`] there are none.
    ///
    /// # Errors
    /// The store's.
    pub async fn pending(&self) -> Result<Vec<PendingMessage>, StoreError> {
        let Some(store) = &self.manager.store else {
            return Ok(Vec::new());
        };
        outbox::pending(&**store, self.line().id()).await
    }

    /// A message on record, to whichever gateway; ended ones stay for [`ENDS_KEPT`].
    ///
    /// # Errors
    /// The store's.
    pub async fn on_record(&self, key: &str) -> Result<Option<ChatSend>, StoreError> {
        match &self.manager.store {
            Some(store) => store.chat_send(key).await,
            None => Ok(None),
        }
    }
}
