//! Agents: from records in a store to woken agents on their gateways.
//!
//! ```no_run
//! use std::sync::Arc;
//! use windlass::agents::{Job, RunOptions};
//! use windlass::sqlite::SqliteStore;
//!
//! # async fn example(agent: windlass::store::AgentUid) -> Result<(), Box<dyn std::error::Error>> {
//! let windlass = windlass::Windlass::start()?;
//! let store = Arc::new(SqliteStore::open("windlass.db").await?);
//! let agents = windlass.agents(store).base_url("https://board.example/api").start().await?;
//! let mut operation = agents
//!     .work(Job::Provision { agents: vec![agent], options: RunOptions::default() })
//!     .await?;
//! while let Some(news) = operation.next().await {
//!     println!("{news:?}");
//! }
//! for agent in operation.report().await?.failed() {
//!     eprintln!("{}: {:?}", agent.name, agent.failure);
//! }
//! # Ok(())
//! # }
//! ```

mod builder;
mod fleet;

use std::fmt;
use std::sync::Arc;

pub use windlass_agents::control_plane::{self, ControlError, ControlPlane, FakeControlPlane, WriteQueue};
pub use windlass_agents::coordinator::{self, CoordinationError, CoordinatorHandle};
pub use windlass_agents::provisioner::{
    AgentPlan, AgentReport, CHECK_IN_WINDOW, Changes, Ensure, EnsureError, Ensured, FileAction, FilePlan, Fleet,
    FleetReport, GatewayFailure, Interrupted, Job, Keep, Operation, PlanError, ProvisionFailure, ProvisionProgress,
    RunOptions, SyncOptions, TokenRule, WAKES, Wake,
};
pub use windlass_templates::{TemplateError, Templates};

use windlass_agents::coordinator::{AskUser, DeliveryReceipt, Nudge, Onboarding, Soul};
use windlass_agents::provisioner::ProvisionerHandle;
use windlass_store::{AgentUid, CheckIn, Gateway, Store, StoreError};

pub use builder::{AgentsBuilder, AgentsError};
pub use fleet::control_plane_of;

/// The agents of a store. Cheap to clone, usable from any thread. When the last clone is dropped, work under way stops; it is
/// taken up again at the next start.
///
/// ```no_run
/// # async fn example(agents: windlass::agents::Agents, agent: windlass::store::AgentUid) -> Result<(), Box<dyn std::error::Error>> {
/// use windlass::agents::RunOptions;
///
/// let plan = agents.plan(agent, RunOptions::default()).await?;
/// println!("differs from the record: {}", plan.drifted());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Agents {
    handle: ProvisionerHandle,
    coordination: CoordinatorHandle,
    fleet: Arc<dyn Fleet>,
    store: Arc<dyn Store>,
}

/// Looks at the agents of a store and speaks to them, beside the process that runs them. Nothing here makes or changes an agent.
#[derive(Clone, Debug)]
pub struct AgentsPreview(Agents);

impl Agents {
    /// Begins a job: provision, delete, or sync with the templates of today.
    ///
    /// # Errors
    /// [`Interrupted`], when Windlass was shut down.
    pub async fn work(&self, job: Job) -> Result<Operation<FleetReport>, Interrupted> {
        self.handle.work(job).await
    }

    /// Sees to it that a board has its lead, or a gateway its own agent: the record is made or corrected, and an agent that was
    /// never brought to life is provisioned.
    ///
    /// # Errors
    /// [`Interrupted`], when Windlass was shut down.
    pub async fn ensure(
        &self,
        wanted: Ensure,
        options: RunOptions,
    ) -> Result<Operation<Result<Ensured, EnsureError>>, Interrupted> {
        self.handle.ensure(wanted, options).await
    }

    /// The steps that a run would take, without taking them. [`AgentPlan::drifted`] tells whether the gateway differs from the record.
    ///
    /// # Errors
    /// [`PlanError`]: a template that does not render, or a gateway that does not answer.
    pub async fn plan(&self, agent: AgentUid, options: RunOptions) -> Result<AgentPlan, PlanError> {
        self.handle.plan(agent, options).await
    }

    /// An agent says that it is there. `false` when there is no such agent, or the token is not its token.
    ///
    /// # Errors
    /// The store's.
    pub async fn check_in(&self, agent: AgentUid, token: &str, check_in: CheckIn) -> Result<bool, StoreError> {
        self.handle.check_in(agent, token, check_in).await
    }

    /// People and agents speaking to each other.
    pub const fn coordinator(&self) -> &CoordinatorHandle {
        &self.coordination
    }

    /// A gateway's control plane, for requests beyond provisioning.
    ///
    /// # Errors
    /// When its record does not tell how to reach it, or Windlass was shut down.
    pub async fn control_plane(&self, gateway: &Gateway) -> Result<Arc<dyn ControlPlane>, ControlError> {
        self.fleet.control_plane(gateway).await
    }

    /// The records.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

impl AgentsPreview {
    /// See [`Agents::plan`].
    ///
    /// # Errors
    /// See [`Agents::plan`].
    pub async fn plan(&self, agent: AgentUid, options: RunOptions) -> Result<AgentPlan, PlanError> {
        self.0.plan(agent, options).await
    }

    /// See [`Agents::control_plane`].
    ///
    /// # Errors
    /// See [`Agents::control_plane`].
    pub async fn control_plane(&self, gateway: &Gateway) -> Result<Arc<dyn ControlPlane>, ControlError> {
        self.0.control_plane(gateway).await
    }

    /// See [`CoordinatorHandle::nudge`].
    ///
    /// # Errors
    /// [`CoordinationError`].
    pub async fn nudge(&self, nudge: Nudge) -> Result<DeliveryReceipt, CoordinationError> {
        self.0.coordination.nudge(nudge).await
    }

    /// See [`CoordinatorHandle::ask_user`].
    ///
    /// # Errors
    /// [`CoordinationError`].
    pub async fn ask_user(&self, ask: AskUser) -> Result<DeliveryReceipt, CoordinationError> {
        self.0.coordination.ask_user(ask).await
    }

    /// See [`CoordinatorHandle::onboard`].
    ///
    /// # Errors
    /// [`CoordinationError`].
    pub async fn onboard(&self, onboarding: Onboarding) -> Result<DeliveryReceipt, CoordinationError> {
        self.0.coordination.onboard(onboarding).await
    }

    /// See [`CoordinatorHandle::read_soul`].
    ///
    /// # Errors
    /// [`CoordinationError`].
    pub async fn read_soul(&self, soul: Soul) -> Result<String, CoordinationError> {
        self.0.coordination.read_soul(soul).await
    }
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agents")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
