//! Agents of one gateway, worked on together: one write of the configuration for all of them.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;
use windlass_protocol::config::Roster;
use windlass_store::{
    AMEND_TRIES, AgentStatus, AgentUid, Gateway, GatewayUid, Run, RunKind, RunState, StepName, StoreError, Timestamp,
};

use super::content::AgentRecords;
use super::content::Desired;
use super::context::{AGENTS_AT_A_TIME, Context, sleep};
use super::report::{AgentReport, Changes};
use super::report::{FailedStep, StepError};
use super::report::{ProgressSender, ProvisionProgress};
use super::request::RunOptions;
use super::saga::{RunParams, Saga};
use crate::control_plane::{ControlError, ControlPlane};

/// How often an operation that waits for the limit of configuration writes says so.
const WAITING_NEWS: Duration = Duration::from_secs(1);

/// An agent to work on.
#[derive(Debug, Clone)]
pub(crate) enum WorkItem {
    /// By a new run.
    New {
        agent: AgentUid,
        kind: Option<RunKind>,
        options: RunOptions,
        delete_files: bool,
    },
    /// By the run that was cut off.
    Resume(Box<Run>),
}

impl WorkItem {
    pub(crate) fn agent(&self) -> AgentUid {
        match self {
            Self::New { agent, .. } => *agent,
            Self::Resume(run) => run.agent_id,
        }
    }

    /// Whether this run does the wanted work.
    pub(crate) fn is_like(&self, run: &Run) -> bool {
        match self {
            Self::Resume(other) => other.id == run.id,
            Self::New {
                kind,
                options,
                delete_files,
                ..
            } => {
                let of_kind = kind.map_or(run.kind != RunKind::Delete, |kind| kind == run.kind);
                let params = RunParams::of(run);
                of_kind && params.options == *options && params.delete_files == *delete_files
            }
        }
    }

    /// Whether it is about an agent's files, and not about taking the agent away.
    fn writes_files(&self) -> bool {
        match self {
            Self::New { kind, .. } => *kind != Some(RunKind::Delete),
            Self::Resume(run) => run.kind != RunKind::Delete,
        }
    }

    fn cut_off(&self) -> Option<&Run> {
        match self {
            Self::New { .. } => None,
            Self::Resume(run) => Some(run),
        }
    }
}

/// The reports of the agents, in the order of their items, and the number of configuration writes.
pub(crate) struct FleetOutcome {
    pub(crate) reports: Vec<AgentReport>,
    pub(crate) config_writes: u64,
}

/// An agent on its way: a run that is under way, or a report already.
type AgentStage = Result<Box<Saga>, AgentReport>;

struct GatewayWork {
    ctx: Rc<Context>,
    plane: Arc<dyn ControlPlane>,
    progress: ProgressSender,
    /// Set when the gateway outlasted the retries of one agent: the others would only wait as long each.
    lost: Cell<bool>,
}

/// Works on agents of one gateway.
pub(crate) async fn work(
    ctx: Rc<Context>,
    gateway: &Gateway,
    items: Vec<WorkItem>,
    progress: ProgressSender,
) -> FleetOutcome {
    let _held = ctx.locks.hold(items.iter().map(WorkItem::agent)).await;
    ctx.met.send_if_modified(|met| met.insert(gateway.id));
    if items.iter().any(WorkItem::writes_files)
        && let Err(error) = record_base_url(&ctx, gateway.id).await
    {
        return none_begun(&ctx, items, &FailedStep::at(StepName::Render, error), &progress).await;
    }
    let plane = match ctx.fleet.control_plane(gateway).await {
        Ok(plane) => plane,
        Err(error) => return none_begun(&ctx, items, &FailedStep::at(StepName::Agent, error), &progress).await,
    };
    let written_before = plane.writes().written;
    let work = GatewayWork {
        ctx,
        plane: Arc::clone(&plane),
        progress,
        lost: Cell::new(false),
    };
    let reports = work.run(items).await;
    FleetOutcome {
        reports,
        config_writes: plane.writes().written - written_before,
    }
}

impl GatewayWork {
    async fn run(&self, items: Vec<WorkItem>) -> Vec<AgentReport> {
        let stages = each(items, |item| self.begin(item)).await;
        let stages = self.make_agents(stages).await;
        let stages = self.write_config(stages).await;
        each(stages, |stage| self.finish(stage)).await
    }

    /// Checks the templates and puts the run on record.
    async fn begin(&self, item: WorkItem) -> AgentStage {
        let agent = item.agent();
        let cut_off = item.cut_off().cloned();
        let mut name = String::new();
        match self.try_begin(item, &mut name).await {
            Ok(saga) => Ok(Box::new(saga)),
            Err(failed) => {
                let report = refused(agent, name, &failed);
                self.note_refusal(agent, &report).await;
                if let Some(run) = cut_off {
                    self.give_up(run, &report).await;
                }
                self.progress.tell(ProvisionProgress::ended(&report));
                Err(report)
            }
        }
    }

    async fn try_begin(&self, item: WorkItem, name: &mut String) -> Result<Saga, FailedStep> {
        let mut records = self.load(item.agent()).await?;
        name.clone_from(&records.agent.name);
        for _ in 1..AMEND_TRIES {
            match self.begin_of(&item, records).await {
                // A heartbeat may be written down while the templates are checked.
                Err(failed) if failed.is_conflict() => records = self.load(item.agent()).await?,
                done => return done,
            }
        }
        self.begin_of(&item, records).await
    }

    async fn load(&self, agent: AgentUid) -> Result<AgentRecords, FailedStep> {
        let loaded = AgentRecords::load(&*self.ctx.store, agent).await;
        loaded.map_err(|error| FailedStep::at(StepName::Render, error))
    }

    /// Begins a new run, or goes on with the one that was cut off.
    async fn begin_of(&self, item: &WorkItem, records: AgentRecords) -> Result<Saga, FailedStep> {
        let (ctx, plane, progress) = (Rc::clone(&self.ctx), Arc::clone(&self.plane), self.progress.clone());
        let (kind, options, delete_files) = match item {
            WorkItem::New {
                kind,
                options,
                delete_files,
                ..
            } => (*kind, *options, *delete_files),
            WorkItem::Resume(run) => return Saga::resume(ctx, plane, records, (**run).clone(), progress).await,
        };
        let first = records.is_new();
        let kind = kind.unwrap_or(if first { RunKind::Provision } else { RunKind::Update });
        let desired = Desired {
            templates: &ctx.templates,
            base_url: ctx.settings.base_url_of(&records.gateway),
            records: &records,
            options,
            first,
        };
        if kind != RunKind::Delete {
            let checked = desired.check().await;
            checked.map_err(|error| FailedStep::at(StepName::Render, error))?;
        }
        let params = RunParams {
            options,
            was_online: records.agent.status == AgentStatus::Online,
            pending_deadline: records.agent.checkin_deadline_at.map(Timestamp::as_millis),
            delete_files,
        };
        Saga::begin(ctx, plane, records, kind, params, progress).await
    }

    /// Keeps on the record why nothing was begun.
    async fn note_refusal(&self, agent: AgentUid, report: &AgentReport) {
        let error = report.failure.as_ref().map(ToString::to_string);
        let noted = self
            .ctx
            .change(agent, |record| record.last_provision_error.clone_from(&error))
            .await;
        if let Err(error) = noted {
            tracing::warn!(%agent, "the agent's error could not be kept: {error}");
        }
    }

    /// A run that can't be taken up any more ends here.
    async fn give_up(&self, mut run: Run, report: &AgentReport) {
        run.state = RunState::Failed;
        run.ended_at = Some(self.ctx.now());
        run.error = report.failure.as_ref().map(ToString::to_string);
        if let Err(error) = self.ctx.store.end_run(&run, None).await {
            tracing::warn!(run = %run.id, "a run that can't be taken up could not be ended: {error}");
        }
    }

    /// Makes the agents that the gateway does not have yet.
    async fn make_agents(&self, stages: Vec<AgentStage>) -> Vec<AgentStage> {
        let wanted = stages.iter().flatten().any(|saga| saga.wants_agent());
        let roster = if wanted {
            self.plane.roster().await
        } else {
            Ok(Roster::default())
        };
        each(stages, |stage| self.make_agent(stage, &roster)).await
    }

    async fn make_agent(&self, stage: AgentStage, roster: &Result<Roster, ControlError>) -> AgentStage {
        let mut saga = stage?;
        if saga.is_delete() {
            return Ok(saga);
        }
        let made = match roster {
            Ok(roster) => match self.still_there(StepName::Agent) {
                Ok(()) => saga.make_agent(roster).await,
                lost => lost,
            },
            Err(error) => Err(FailedStep::at(StepName::Agent, error.clone())),
        };
        match made {
            Ok(()) => Ok(saga),
            Err(failed) => Err(self.fail(saga, failed).await),
        }
    }

    /// Writes the heartbeats of all of them. They ask side by side, so the control plane has them all before its one write.
    async fn write_config(&self, stages: Vec<AgentStage>) -> Vec<AgentStage> {
        let asking = stages
            .iter()
            .flatten()
            .filter(|saga| saga.config_entry().is_some())
            .count();
        tokio::select! {
            biased;
            written = join_all(stages.into_iter().map(|stage| self.write_entry(stage))) => written,
            never = self.tell_waits(asking) => match never {},
        }
    }

    /// Tells, from time to time, that the gateway's limit is waited for.
    async fn tell_waits(&self, agents: usize) -> Infallible {
        loop {
            sleep(WAITING_NEWS).await;
            if let Some(wait) = self.plane.writes().next_write_in {
                let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                self.progress.tell(ProvisionProgress::WaitingToWrite { agents, ms });
            }
        }
    }

    async fn write_entry(&self, stage: AgentStage) -> AgentStage {
        let mut saga = stage?;
        let Some(entry) = saga.config_entry() else {
            return Ok(saga);
        };
        let written = match self.plane.patch_agents(vec![entry]).await {
            Ok(patched) => saga.config_written(patched).await,
            Err(error) => Err(FailedStep::at(StepName::Heartbeat, error)),
        };
        match written {
            Ok(()) => Ok(saga),
            Err(failed) => Err(self.fail(saga, failed).await),
        }
    }

    /// The remaining steps of one agent.
    async fn finish(&self, stage: AgentStage) -> AgentReport {
        let mut saga = match stage {
            Ok(saga) => saga,
            Err(report) => return report,
        };
        let end = match self.still_there(StepName::Files) {
            Ok(()) if saga.is_delete() => saga.remove().await,
            Ok(()) => saga.write_and_wake().await,
            lost => lost,
        };
        match end {
            Ok(()) => saga.end(Ok(())).await,
            Err(failed) => self.fail(saga, failed).await,
        }
    }

    fn still_there(&self, step: StepName) -> Result<(), FailedStep> {
        if self.lost.get() {
            Err(FailedStep::at(step, StepError::GatewayLost))
        } else {
            Ok(())
        }
    }

    async fn fail(&self, saga: Box<Saga>, failed: FailedStep) -> AgentReport {
        if failed.is_transient() {
            self.lost.set(true);
        }
        saga.end(Err(failed)).await
    }
}

/// Some at a time, in order.
async fn each<T, U, F: Future<Output = U>>(items: Vec<T>, work: impl FnMut(T) -> F) -> Vec<U> {
    stream::iter(items).map(work).buffered(AGENTS_AT_A_TIME).collect().await
}

fn refused(agent: AgentUid, name: String, failed: &FailedStep) -> AgentReport {
    AgentReport {
        agent,
        name,
        changes: Changes::default(),
        warnings: Vec::new(),
        failure: Some(failed.explain()),
        skipped: None,
    }
}

/// Puts on record where the gateway's agents reach the service, where this process was told: later runs need not be.
async fn record_base_url(ctx: &Context, gateway: GatewayUid) -> Result<(), StoreError> {
    let Some(given) = &ctx.settings.base_url else {
        return Ok(());
    };
    let wanted = Some(given.trim().to_owned()).filter(|url| !url.is_empty());
    match ctx.store.gateway(gateway).await? {
        Some(mut record) if record.base_url != wanted => {
            record.base_url = wanted;
            ctx.store.update_gateway(&record).await
        }
        _ => Ok(()),
    }
}

/// The gateway can't be worked with: nothing is put on record, as nothing was begun.
async fn none_begun(ctx: &Context, items: Vec<WorkItem>, why: &FailedStep, progress: &ProgressSender) -> FleetOutcome {
    let mut reports = Vec::with_capacity(items.len());
    for item in items {
        let agent = item.agent();
        let record = ctx.store.agent(agent).await.ok().flatten();
        let name = record.map(|record| record.name).unwrap_or_default();
        let report = refused(agent, name, why);
        progress.tell(ProvisionProgress::ended(&report));
        reports.push(report);
    }
    FleetOutcome {
        reports,
        config_writes: 0,
    }
}
