//! The coordinator: people and agents speaking to each other, over the agents' sessions.
//!
//! | operation | reaches | who may |
//! |---|---|---|
//! | nudge | an agent of a board | a person, agents of that board |
//! | read, write a soul | an agent's `SOUL.md` | the same; written by a person or the lead |
//! | ask the user, onboarding | the gateway's own agent | a person, the board's lead |
//! | message a lead, broadcast | leads, brought to life if need be | a person, the gateway's own agent |
//!
//! Each attempt is an activity on record, carries an id by which its answer is found again, and ends within 45 s. The id is the
//! message's idempotency key: said twice under it, it is heard once.

mod boards;
mod desk;
mod dispatch;
mod error;
mod leads;
mod operation;
mod policy;
mod souls;
#[cfg(test)]
mod tests;
mod worker;

use std::cell::RefCell;
use std::rc::Rc;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, oneshot};
use windlass_store::BoardId;

pub use desk::MESSAGE_CHARS;
pub use error::CoordinationError;
pub use operation::{
    AskUser, BoardResult, BroadcastReport, LeadMessage, LeadMessageKind, Nudge, Onboarding, Said, Soul,
};
pub use policy::{Caller, Forbidden};

use crate::provisioner::{Interrupted, ProvisionerHandle, ProvisionerParts};
use desk::Desk;
use worker::Order;

/// Orders that may wait for the coordinator; it only starts tasks for them.
const ORDERS: usize = 64;

/// The coordinator, before it runs.
pub struct Coordinator {
    parts: ProvisionerParts,
    provisioner: ProvisionerHandle,
    orders: mpsc::Receiver<Order>,
}

/// The coordinator's handle, for any thread.
#[derive(Debug, Clone)]
pub struct CoordinatorHandle {
    orders: mpsc::Sender<Order>,
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator")
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

impl Coordinator {
    /// A coordinator and its handle. The parts are those of the provisioner, with another seed.
    pub fn new(parts: ProvisionerParts, provisioner: ProvisionerHandle) -> (Self, CoordinatorHandle) {
        let (sender, orders) = mpsc::channel(ORDERS);
        let coordinator = Self {
            parts,
            provisioner,
            orders,
        };
        (coordinator, CoordinatorHandle { orders: sender })
    }

    /// Runs until the last handle is dropped. Must be polled within a `LocalSet` (or an actix system) with tokio's time.
    pub async fn run(self) {
        let desk = Rc::new(Desk {
            store: self.parts.store,
            templates: self.parts.templates,
            fleet: self.parts.fleet,
            provisioner: self.provisioner,
            clock: self.parts.clock,
            settings: self.parts.settings,
            rng: RefCell::new(StdRng::from_seed(self.parts.seed)),
        });
        worker::run(desk, self.orders).await;
    }
}

impl CoordinatorHandle {
    /// Says something to an agent of a board.
    ///
    /// # Errors
    /// [`CoordinationError`].
    pub async fn nudge(&self, nudge: Nudge) -> Result<Said, CoordinationError> {
        self.order(|answer| Order::Nudge(nudge, answer)).await
    }

    /// Reads an agent's `SOUL.md` from its gateway.
    ///
    /// # Errors
    /// [`CoordinationError`].
    pub async fn read_soul(&self, soul: Soul) -> Result<String, CoordinationError> {
        self.order(|answer| Order::ReadSoul(soul, answer)).await
    }

    /// Gives an agent another `SOUL.md`, on record and on its gateway.
    ///
    /// # Errors
    /// [`CoordinationError`]. When the gateway fails, the record has it already: the next provisioning writes it.
    pub async fn write_soul(&self, soul: Soul, content: impl Into<String>) -> Result<(), CoordinationError> {
        let content = content.into();
        self.order(|answer| Order::WriteSoul(soul, content, answer)).await
    }

    /// Asks the user, through the gateway's own agent.
    ///
    /// # Errors
    /// [`CoordinationError`].
    pub async fn ask_user(&self, ask: AskUser) -> Result<Said, CoordinationError> {
        self.order(|answer| Order::AskUser(ask, answer)).await
    }

    /// Has the gateway's own agent ask its user what a new board is for.
    ///
    /// # Errors
    /// [`CoordinationError`].
    pub async fn onboard(&self, onboarding: Onboarding) -> Result<Said, CoordinationError> {
        self.order(|answer| Order::Onboard(onboarding, answer)).await
    }

    /// Says something to a board's lead, which is brought to life if there is none.
    ///
    /// # Errors
    /// [`CoordinationError`].
    pub async fn message_lead(&self, message: LeadMessage, board: BoardId) -> Result<Said, CoordinationError> {
        self.order(|answer| Order::MessageLead(message, board, answer)).await
    }

    /// Says something to the leads of all boards of a gateway, or of these. Each board has its own result.
    ///
    /// # Errors
    /// [`CoordinationError`], when not even the boards can be read.
    pub async fn broadcast(
        &self,
        message: LeadMessage,
        boards: Option<Vec<BoardId>>,
    ) -> Result<BroadcastReport, CoordinationError> {
        self.order(|answer| Order::Broadcast(message, boards, answer)).await
    }

    async fn order<T>(&self, order: impl FnOnce(worker::Answer<T>) -> Order) -> Result<T, CoordinationError> {
        let (answer, end) = oneshot::channel();
        self.orders.send(order(answer)).await.map_err(|_| Interrupted)?;
        end.await.map_err(|_| Interrupted)?
    }
}
