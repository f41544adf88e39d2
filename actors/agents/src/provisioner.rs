//! The provisioner: agents, from a record in the store to a woken agent on a gateway.
//!
//! ```text
//!   Provisioner             actor: a task for each operation; takes up what was cut off; watches deadlines and events
//!      └─ gateways          agents by gateway, gateways side by side
//!         └─ fleet          the agents of a gateway: one write of the configuration for all
//!            └─ saga        one agent's run, each step on record
//! ```
//!
//! Everything is a comparison of the wanted state (records and templates) with the gateway (configuration, files, sessions):
//! only differences are written. A deed that leaves no trace on the gateway is a step on record.

mod activity;
mod content;
mod context;
mod ensure;
mod fleet;
mod forget;
mod gateways;
mod lifecycle;
mod preview;
mod reconcile;
mod report;
mod request;
mod saga;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use activity::WatchScope;
use actix::{Actor, Addr, Context as ActorContext, Handler, Message, MessageResult};
use context::{Context, sleep};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use report::ProgressSender;
use tokio::sync::oneshot;
use windlass_line::failpoint;
use windlass_line::supervision::{Panic, Restarts, SurvivesPanics, TaskReply, Tasks, Unstarted, keep_running};
use windlass_store::{AgentUid, CheckIn, Ownership, Store, StoreError};

use crate::offload::knows_token;

pub use activity::ACTIVITY;
pub use content::{FileAction, FilePlan};
pub use context::{AGENTS_AT_A_TIME, Fleet, Keep, ProvisionerParts, ProvisionerSettings};
pub use ensure::{Ensure, EnsureError, Ensured, LEAD_NAME};
pub use lifecycle::{CHECK_IN_WINDOW, WAKES};
pub use preview::AgentPlan;
pub use report::{
    AgentReport, Changes, FleetReport, GatewayFailure, Interrupted, Operation, ProvisionFailure, ProvisionProgress,
};
pub use request::{Job, RunOptions, SyncOptions, TokenRule, Wake};

/// Messages to the provisioner that may wait in its mailbox: it only begins tasks for them.
const MAILBOX: usize = 64;

/// Runs taken up in one go: a page of the store.
const RUNS: usize = 100;

/// How long to wait when the store fails at the start.
const STORE_REST: Duration = Duration::from_secs(10);

/// The actor that owns all operations on the agents of a store: a task for each, and the context that the tasks share with it.
/// It also supervises the agents, where its settings say so.
///
/// A panic of a handler costs the message in hand only ([`SurvivesPanics`]); each supervising task is restarted by itself.
pub struct Provisioner {
    ctx: Rc<Context>,
    /// The operations. All end with the actor.
    tasks: Tasks,
    /// The tasks that supervise the agents.
    upkeep: Tasks,
    /// The right to run the store's agents, held as long as the actor lives.
    ownership: Option<Ownership>,
    panics: Restarts,
}

/// The provisioner's handle, for any thread. When the last one is dropped, the provisioner stops; runs under way are taken up
/// again at its next start.
#[derive(Clone)]
pub struct ProvisionerHandle {
    address: Addr<Provisioner>,
    store: Arc<dyn Store>,
}

impl fmt::Debug for ProvisionerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvisionerHandle")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// Does a job.
struct DoJob(Job);

/// Makes sure that an agent is there.
struct EnsureAgent(Ensure, RunOptions);

/// Plans a run without doing it.
struct PlanRun(AgentUid, RunOptions);

/// A deadline may have come nearer: another part of the process changed a record.
struct DeadlineMoved;

impl Message for DoJob {
    type Result = Operation<FleetReport>;
}

impl Message for EnsureAgent {
    type Result = Operation<Result<Ensured, EnsureError>>;
}

impl Message for PlanRun {
    type Result = TaskReply<Result<AgentPlan, ProvisionFailure>>;
}

impl Message for DeadlineMoved {
    type Result = ();
}

impl fmt::Debug for Provisioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provisioner").finish_non_exhaustive()
    }
}

impl Actor for Provisioner {
    type Context = ActorContext<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        let ctx = Rc::clone(&self.ctx);
        if self.ctx.settings.supervise {
            self.upkeep.spawn(async move { look_after(&ctx).await });
        } else if self.ownership.is_some() {
            // An answer that comes while a job goes on is seen, too; later ones are left to the process that supervises.
            self.upkeep.spawn(async move {
                let watch = || activity::watch_all(Rc::clone(&ctx), WatchScope::Met);
                keep_running("activity", || ctx.clock.now(), watch).await;
            });
        }
    }
}

impl SurvivesPanics for Provisioner {
    fn panicked(&mut self, panic: &Panic) {
        let _ = self.panics.panicked(self.ctx.clock.now(), panic);
    }
}

impl Handler<DoJob> for Provisioner {
    type Result = MessageResult<DoJob>;

    fn handle(&mut self, DoJob(job): DoJob, _: &mut Self::Context) -> Self::Result {
        let (operation, progress, reporter) = Operation::new();
        self.begin(reporter, move |ctx| async move {
            failpoint::reach("provisioner.operation");
            ensure::run_job(ctx, job, progress).await
        });
        MessageResult(operation)
    }
}

impl Handler<EnsureAgent> for Provisioner {
    type Result = MessageResult<EnsureAgent>;

    fn handle(&mut self, EnsureAgent(wanted, options): EnsureAgent, _: &mut Self::Context) -> Self::Result {
        let (operation, progress, reporter) = Operation::new();
        self.begin(reporter, move |ctx| {
            ensure::ensure_agent(ctx, wanted, options, progress)
        });
        MessageResult(operation)
    }
}

impl Handler<PlanRun> for Provisioner {
    type Result = MessageResult<PlanRun>;

    fn handle(&mut self, PlanRun(agent, options): PlanRun, _: &mut Self::Context) -> Self::Result {
        let (sender, plan) = oneshot::channel();
        self.begin(sender, move |ctx| preview::plan(ctx, agent, options));
        MessageResult(plan)
    }
}

impl Handler<DeadlineMoved> for Provisioner {
    type Result = ();

    fn handle(&mut self, _: DeadlineMoved, _: &mut Self::Context) {
        self.guarded("provisioner::DeadlineMoved", |provisioner| {
            failpoint::reach("provisioner.handler");
            provisioner.ctx.deadline_moved();
        });
    }
}

impl Provisioner {
    /// A provisioner that does not run yet, and its handle. Without the ownership of the store it must be asked for plans only.
    pub fn prepare(parts: ProvisionerParts, ownership: Option<Ownership>) -> (Unstarted<Self>, ProvisionerHandle) {
        let store = Arc::clone(&parts.store);
        let (provisioner, address) = Unstarted::new(MAILBOX, move || {
            let rng = StdRng::from_seed(parts.seed);
            Self {
                ctx: Rc::new(Context::new(parts, rng)),
                tasks: Tasks::of("provisioning"),
                upkeep: Tasks::of("agents"),
                ownership,
                panics: Restarts::of("provisioner"),
            }
        });
        (provisioner, ProvisionerHandle { address, store })
    }

    /// Begins an operation, and sends its end to `end`.
    fn begin<T, F>(&mut self, end: oneshot::Sender<T>, operation: impl FnOnce(Rc<Context>) -> F)
    where
        T: 'static,
        F: Future<Output = T> + 'static,
    {
        self.guarded("provisioner::Operation", |provisioner| {
            failpoint::reach("provisioner.handler");
            let operation = operation(Rc::clone(&provisioner.ctx));
            // The caller may be gone when it ends.
            provisioner.tasks.spawn(async move { drop(end.send(operation.await)) });
        });
    }
}

impl ProvisionerHandle {
    /// Begins a job.
    ///
    /// # Errors
    /// [`Interrupted`], when the provisioner stopped.
    pub async fn work(&self, job: Job) -> Result<Operation<FleetReport>, Interrupted> {
        self.address.send(DoJob(job)).await.map_err(|_| Interrupted)
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
        let ensure = EnsureAgent(wanted, options);
        self.address.send(ensure).await.map_err(|_| Interrupted)
    }

    /// Plans a run. Nothing is written.
    ///
    /// # Errors
    /// [`PlanError`].
    pub async fn plan(&self, agent: AgentUid, options: RunOptions) -> Result<AgentPlan, PlanError> {
        let plan = PlanRun(agent, options);
        let plan = self.address.send(plan).await.map_err(|_| Interrupted)?;
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
        if !knows_token(&record, token).await {
            return Ok(false);
        }
        let seen = self.store.check_in(agent, check_in).await?.is_some();
        // A provisioner that is gone has no deadlines to look after.
        let _ = self.address.send(DeadlineMoved).await;
        Ok(seen)
    }
}

/// StepError there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It can't be made.
    #[error("{0}")]
    Failed(Box<ProvisionFailure>),
    /// The provisioner is gone.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Supervises the agents, in the one process that runs them. Each part is restarted by itself.
async fn look_after(ctx: &Rc<Context>) {
    let now = || ctx.clock.now();
    let watched = keep_running("activity", now, || activity::watch_all(Rc::clone(ctx), WatchScope::All));
    let cleaned = keep_running("housekeeping", now, || forget::delete_old_records(Rc::clone(ctx)));
    let wakes = Tasks::of("wake");
    let kept = async {
        keep_running("reconciler", now, || take_up_all(ctx)).await;
        keep_running("reconciler", now, || reconcile::begin_to_watch(ctx)).await;
        keep_running("reconciler", now, || reconcile::run(Rc::clone(ctx), wakes.clone())).await;
    };
    // From the start: an agent may answer its wake before the last run is taken up.
    tokio::join!(watched, kept, cleaned);
}

async fn take_up_all(ctx: &Rc<Context>) {
    while let Err(error) = take_up(ctx).await {
        tracing::error!("runs that were cut off can't be read: {error}");
        sleep(STORE_REST).await;
    }
}

/// Goes on with all runs that were cut off, each once: a run on a gateway that fails stays for the next start.
async fn take_up(ctx: &Rc<Context>) -> Result<(), StoreError> {
    failpoint::reach("reconciler.take_up");
    let mut met = BTreeSet::new();
    loop {
        let mut runs = ctx.store.active_runs(RUNS).await?;
        runs.retain(|run| met.insert(run.id));
        if runs.is_empty() {
            return Ok(());
        }
        let report = gateways::resume(Rc::clone(ctx), runs, ProgressSender::nobody()).await;
        for agent in report.failed() {
            let failure = agent.failure.as_ref().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(agent = %agent.agent, name = agent.name, "a run that was cut off failed: {failure}");
        }
    }
}
