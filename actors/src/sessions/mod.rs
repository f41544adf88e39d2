//! The session manager: messages that are sent once and followed to their one end, and all else that is done with sessions.
//!
//! What is known of a run's traps on nine releases stands in [`windlass_protocol::run`]; this gives it events, answers and
//! time, and keeps the turns of a session apart. What is known of sessions themselves stands in `rules`.

mod ask;
mod change;
mod error;
mod follow;
mod history;
mod lanes;
mod list;
mod look;
mod message;
mod rules;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, oneshot};

pub use change::{DeleteOutcome, Ensured, ResetOutcome};
pub use error::{AskError, DeleteError, EnsureError, HistoryError, ListError, PatchError, SendError};
pub use history::{HISTORY_PAGE, HistoryCursor, HistoryDelta, HistoryPage, HistoryQuery};
pub use list::{SESSIONS_LIMIT, SessionQuery};
pub use look::SessionsStatus;
pub use message::{Following, Message};
pub use windlass_protocol::run::{Progress as RunProgress, ResendAfterLoss, RunEnd};

use windlass_protocol::SessionKey;

use crate::Line;
use crate::provisioner::Interrupted;
use worker::Order;

/// Orders that may wait for the session manager; it only starts tasks for them.
const ORDERS: usize = 256;

/// The session manager, before it runs.
#[derive(Debug)]
pub struct SessionManager {
    seed: [u8; 32],
    orders: mpsc::Receiver<Order>,
}

/// The session manager's handle, for any thread. When the last one is dropped, it stops.
#[derive(Debug, Clone)]
pub struct SessionManagerHandle {
    orders: mpsc::Sender<Order>,
}

impl SessionManager {
    /// A session manager and its handle. `seed` is what keys are drawn from: the system's randomness, outside of tests.
    pub fn new(seed: [u8; 32]) -> (Self, SessionManagerHandle) {
        let (sender, orders) = mpsc::channel(ORDERS);
        (Self { seed, orders }, SessionManagerHandle { orders: sender })
    }

    /// Runs until the last handle is dropped. Must be polled within a `LocalSet` (or an actix system) with tokio's time.
    pub async fn run(self) {
        worker::run(StdRng::from_seed(self.seed), self.orders).await;
    }
}

impl SessionManagerHandle {
    /// Sends a message, once it is its session's turn, and follows it.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(&self, message: Message) -> Result<Following, SendError> {
        let (answer, following) = oneshot::channel();
        let order = Order {
            message: Box::new(message),
            answer,
        };
        self.orders.send(order).await.map_err(|_| Interrupted)?;
        Ok(following.await.map_err(|_| Interrupted)?)
    }

    /// Sends a message and waits for its one end.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send_and_wait(&self, message: Message) -> Result<RunEnd, SendError> {
        Ok(self.send(message).await?.end().await?)
    }
}

/// How long an operation may take, the wait for the line included; that of the reference client. Deleting a session takes up
/// to 2.4 s on an idle 2026.9.6.
const WITHIN: Duration = Duration::from_secs(30);

/// The sessions of one gateway. Cheap to clone, usable from any thread.
///
/// Operations wait for a line that is down, for as long as they may take ([`within`](Self::within)). What can be done twice is
/// done again by itself when the line breaks under it; of what can't, the error says that its outcome is not known.
#[derive(Debug, Clone)]
pub struct Sessions {
    line: Arc<Line>,
    manager: SessionManagerHandle,
    within: Duration,
}

impl Sessions {
    /// The sessions at the other end of a line.
    pub const fn new(line: Arc<Line>, manager: SessionManagerHandle) -> Self {
        Self {
            line,
            manager,
            within: WITHIN,
        }
    }

    /// How long each call to the gateway may take from here on, the wait for the line included; 30 s unless given. Messages have
    /// [their own](Message::give_up_after).
    pub const fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Prepares a message to a session, which the gateway makes if there is none.
    pub fn message(&self, session: SessionKey, text: impl Into<String>) -> Message {
        Message::new(Arc::clone(&self.line), session, text)
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
}
