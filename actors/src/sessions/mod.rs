//! The session manager: messages that are sent once and followed to their one end.
//!
//! What is known of the traps of nine releases stands in [`windlass_protocol::run`]; this gives it events, answers and time, and
//! keeps the turns of a session apart.

mod follow;
mod lanes;
mod message;
mod worker;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, oneshot};

pub use message::{Following, Message};
pub use windlass_protocol::run::{Progress as RunProgress, ResendAfterLoss, RunEnd};

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
    /// [`Interrupted`], when the session manager stopped.
    pub async fn send(&self, message: Message) -> Result<Following, Interrupted> {
        let (answer, following) = oneshot::channel();
        let order = Order {
            message: Box::new(message),
            answer,
        };
        self.orders.send(order).await.map_err(|_| Interrupted)?;
        following.await.map_err(|_| Interrupted)
    }

    /// Sends a message and waits for its one end.
    ///
    /// # Errors
    /// [`Interrupted`], when the session manager stopped.
    pub async fn send_and_wait(&self, message: Message) -> Result<RunEnd, Interrupted> {
        self.send(message).await?.end().await
    }
}
