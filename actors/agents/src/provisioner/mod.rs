//! The provisioner: agents, from a record in the store to a woken agent on a gateway.
//!
//! ```text
//!   Provisioner::run        restarts the actor should it panic; takes up what was cut off; watches deadlines and events
//!   └─ Worker               actor: a task for each operation
//!      └─ job               agents by gateway, gateways side by side
//!         └─ fleet          the agents of a gateway: one write of the configuration for all
//!            └─ saga        one agent's run, each step on record
//! ```
//!
//! Everything is a comparison of what should be (records and templates) with what is (configuration, files, sessions):
//! what is as it should be is not written again. What can't be seen on the gateway is a step on record.

mod activity;
mod content;
mod context;
mod dossier;
mod ensure;
mod failure;
mod file_plan;
mod fleet;
mod forget;
mod housekeeping;
mod job;
mod lifecycle;
mod locks;
mod messages;
mod preview;
mod progress;
mod reconcile;
mod report;
mod request;
mod saga;
mod supervise;
mod sync;
#[cfg(test)]
pub(crate) mod tests;
mod worker;

use tokio::sync::{mpsc, oneshot};
use windlass_store::{AgentUid, CheckIn, Ownership, Store, StoreError};

pub use activity::ACTIVITY;
pub use context::{AGENTS_AT_A_TIME, Fleet, ProvisionerParts, ProvisionerSettings};
pub use ensure::{Ensure, EnsureError, Ensured, LEAD_NAME};
pub use file_plan::{FileAction, FilePlan};
pub use housekeeping::Keep;
pub use lifecycle::{CHECK_IN_WINDOW, WAKES};
pub use preview::AgentPlan;
pub use progress::{Interrupted, Operation, Progress};
pub use report::{AgentReport, Changes, Failure, FleetReport, GatewayFailure};
pub use request::{Job, RunOptions, SyncOptions, TokenRule, Wake};

use std::sync::Arc;

use messages::Order;

/// Orders that may wait for the provisioner; it only starts tasks for them.
const ORDERS: usize = 64;

/// The provisioner, before it runs.
pub struct Provisioner {
    parts: ProvisionerParts,
    orders: mpsc::Receiver<Order>,
    /// The right to run the store's agents, held as long as this runs.
    ownership: Option<Ownership>,
}

/// The provisioner's handle, for any thread. When the last one is dropped, it stops; what was begun is taken up again at its
/// next start.
#[derive(Debug, Clone)]
pub struct ProvisionerHandle {
    orders: mpsc::Sender<Order>,
    store: Arc<dyn Store>,
}

impl std::fmt::Debug for Provisioner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provisioner")
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

impl Provisioner {
    /// A provisioner and its handle. Without the ownership of the store it must only be asked for plans.
    pub fn new(parts: ProvisionerParts, ownership: Option<Ownership>) -> (Self, ProvisionerHandle) {
        let (sender, orders) = mpsc::channel(ORDERS);
        let handle = ProvisionerHandle {
            orders: sender,
            store: Arc::clone(&parts.store),
        };
        let provisioner = Self {
            parts,
            orders,
            ownership,
        };
        (provisioner, handle)
    }

    /// Runs until the last handle is dropped. Must be polled within a `LocalSet` (or an actix system) with tokio's time.
    pub async fn run(self) {
        supervise::run(self.parts, self.orders, self.ownership.is_some()).await;
        drop(self.ownership);
    }
}

impl ProvisionerHandle {
    /// Begins a job.
    ///
    /// # Errors
    /// [`Interrupted`], when the provisioner stopped.
    pub async fn work(&self, job: Job) -> Result<Operation<FleetReport>, Interrupted> {
        let (operation, teller, reporter) = Operation::new();
        self.order(Order::Work(job, teller, reporter)).await?;
        Ok(operation)
    }

    /// Sees to it that a board has its lead, or a gateway its own agent.
    ///
    /// # Errors
    /// [`Interrupted`], when the provisioner stopped.
    pub async fn ensure(
        &self,
        wanted: Ensure,
        options: RunOptions,
    ) -> Result<Operation<Result<Ensured, EnsureError>>, Interrupted> {
        let (operation, teller, reporter) = Operation::new();
        self.order(Order::Ensure(wanted, options, teller, reporter)).await?;
        Ok(operation)
    }

    /// What a run would do. Nothing is written.
    ///
    /// # Errors
    /// [`PlanError`].
    pub async fn plan(&self, agent: AgentUid, options: RunOptions) -> Result<AgentPlan, PlanError> {
        let (sender, plan) = oneshot::channel();
        self.order(Order::Plan(agent, options, sender)).await?;
        let plan = plan.await.map_err(|_| Interrupted)?;
        plan.map_err(|failure| PlanError::Failed(Box::new(failure)))
    }

    /// An agent says that it is there. `false` when there is no such agent, or the token is not its token.
    ///
    /// # Errors
    /// The store's.
    pub async fn check_in(&self, agent: AgentUid, token: &str, check_in: CheckIn) -> Result<bool, StoreError> {
        let Some(record) = self.store.agent(agent).await? else {
            return Ok(false);
        };
        if !record.knows_token(token) {
            return Ok(false);
        }
        let seen = self.store.check_in(agent, check_in).await?.is_some();
        // A provisioner that is gone has no deadlines to look after.
        let _ = self.order(Order::DeadlineMoved).await;
        Ok(seen)
    }

    async fn order(&self, order: Order) -> Result<(), Interrupted> {
        self.orders.send(order).await.map_err(|_| Interrupted)
    }
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It can't be made.
    #[error("{0}")]
    Failed(Box<Failure>),
    /// The provisioner is gone.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}
