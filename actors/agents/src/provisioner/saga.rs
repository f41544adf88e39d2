//! One agent's run, step by step, each on record: a run that was cut off goes on at its step.
//!
//! Most steps compare the gateway with the records, so repeating them does nothing. A step without a visible result (was
//! it woken?) is decided by the step's record, which is written before the deed, and by the session's history.

mod agent;
pub(crate) mod files;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use windlass_protocol::config::HeartbeatEntry;
use windlass_store::{AgentRole, NewActivity, Run, RunId, RunKind, RunState, Step, StepName, StepState, Timestamp};

use super::content::AgentRecords;
use super::content::Desired;
use super::context::Context;
use super::lifecycle::{self, Transition};
use super::report::{AgentReport, Changes, ProvisionFailure};
use super::report::{FailedStep, StepError};
use super::report::{ProgressSender, ProvisionProgress};
use super::request::RunOptions;
use crate::control_plane::ControlPlane;

/// The parameters of a run, kept on its record.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct RunParams {
    #[serde(flatten)]
    pub(crate) options: RunOptions,
    /// Whether the agent was online before the run.
    #[serde(default)]
    pub(crate) was_online: bool,
    /// Until when an earlier wake was to be answered, in ms since 1970.
    #[serde(default)]
    pub(crate) pending_deadline: Option<i64>,
    /// For a run that deletes: the workspace too.
    #[serde(default)]
    pub(crate) delete_files: bool,
}

/// How a step is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StepProgress {
    /// It was done before.
    Done,
    /// It was never tried.
    First,
    /// It was begun, and whether it was done is unknown.
    Again,
}

impl RunParams {
    /// The parameters of a run on record.
    pub(crate) fn of(run: &Run) -> Self {
        serde_json::from_value(run.options.clone()).unwrap_or(Self {
            options: RunOptions::default(),
            was_online: false,
            pending_deadline: None,
            delete_files: false,
        })
    }
}

pub(crate) struct Saga {
    pub(crate) ctx: Rc<Context>,
    pub(crate) plane: Arc<dyn ControlPlane>,
    pub(crate) records: AgentRecords,
    pub(crate) run: Run,
    pub(crate) params: RunParams,
    pub(crate) steps: BTreeMap<StepName, Step>,
    pub(crate) changes: Changes,
    pub(crate) warnings: Vec<String>,
    pub(crate) progress: ProgressSender,
    /// When this process began to send the wake.
    woken_at: Option<Timestamp>,
}

impl Saga {
    /// Puts a new run on record. Nothing has been sent yet; the templates are known to render.
    pub(crate) async fn begin(
        ctx: Rc<Context>,
        plane: Arc<dyn ControlPlane>,
        mut records: AgentRecords,
        kind: RunKind,
        params: RunParams,
        progress: ProgressSender,
    ) -> Result<Self, FailedStep> {
        let now = ctx.now();
        let mut agent = records.agent.clone();
        lifecycle::apply(&mut agent, Transition::Begin { kind, at: now });
        let run = Run {
            id: RunId::from_bytes(ctx.random()),
            agent_id: agent.id,
            gateway_id: agent.gateway_id,
            kind,
            generation: agent.lifecycle_generation,
            options: serde_json::to_value(params).unwrap_or(Value::Null),
            state: RunState::Active,
            error: None,
            wake_key: Some(ctx.fresh_key()),
            started_at: now,
            ended_at: None,
        };
        records.agent = ctx
            .store
            .begin_run(&run, &agent)
            .await
            .map_err(|error| FailedStep::at(StepName::Render, StepError::Store(error)))?;
        Ok(Self {
            ctx,
            plane,
            records,
            run,
            params,
            steps: BTreeMap::new(),
            changes: Changes::default(),
            warnings: Vec::new(),
            progress,
            woken_at: None,
        })
    }

    /// Takes up a run that was cut off.
    pub(crate) async fn resume(
        ctx: Rc<Context>,
        plane: Arc<dyn ControlPlane>,
        records: AgentRecords,
        run: Run,
        progress: ProgressSender,
    ) -> Result<Self, FailedStep> {
        let at_store = |error| FailedStep::at(StepName::Render, StepError::Store(error));
        let params = RunParams::of(&run);
        let steps = ctx.store.steps(run.id).await.map_err(at_store)?;
        let mut changes = Changes::default();
        for step in &steps {
            if let Ok(made) = serde_json::from_value::<Changes>(step.detail.clone()) {
                changes.add(made);
            }
        }
        Ok(Self {
            ctx,
            plane,
            records,
            run,
            params,
            steps: steps.into_iter().map(|step| (step.name, step)).collect(),
            changes,
            warnings: Vec::new(),
            progress,
            woken_at: None,
        })
    }

    pub(crate) fn is_delete(&self) -> bool {
        self.run.kind == RunKind::Delete
    }

    /// Whether the agent itself may still have to be made.
    pub(crate) fn wants_agent(&self) -> bool {
        !self.is_delete() && !self.is_done(StepName::Agent)
    }

    /// The agent's entry of the configuration, until it is known to be written.
    pub(crate) fn config_entry(&self) -> Option<HeartbeatEntry> {
        (!self.is_delete() && !self.is_done(StepName::Heartbeat)).then(|| self.records.heartbeat())
    }

    /// The steps that concern this agent alone.
    pub(crate) async fn write_and_wake(&mut self) -> Result<(), FailedStep> {
        self.write_files().await?;
        self.reset().await?;
        self.wake().await
    }

    fn desired(&self) -> Desired<'_> {
        Desired {
            templates: &self.ctx.templates,
            base_url: self.ctx.settings.base_url_of(&self.records.gateway),
            records: &self.records,
            options: self.params.options,
            first: self.is_first(),
        }
    }

    pub(crate) fn is_first(&self) -> bool {
        self.run.kind == RunKind::Provision
    }

    pub(crate) fn role(&self) -> AgentRole {
        self.records.agent.role()
    }

    /// Enters a step, and tells so.
    fn enter(&self, name: StepName) -> StepProgress {
        if self.is_done(name) {
            return StepProgress::Done;
        }
        self.progress.tell(ProvisionProgress::Step {
            agent: self.records.agent.id,
            name: self.records.agent.name.clone(),
            step: name,
        });
        if self.steps.contains_key(&name) {
            StepProgress::Again
        } else {
            StepProgress::First
        }
    }

    pub(crate) fn is_done(&self, name: StepName) -> bool {
        self.steps
            .get(&name)
            .is_some_and(|step| matches!(step.state, StepState::Done | StepState::Skipped))
    }

    /// Puts on record that a step begins, with its planned changes.
    pub(crate) async fn begun(&mut self, name: StepName, planned: &Changes) -> Result<(), FailedStep> {
        self.record(name, StepState::Begun, planned).await
    }

    /// Puts on record that a step is done. The planned changes of an attempt that was cut off count as made, too.
    pub(crate) async fn done(&mut self, name: StepName, made: &Changes) -> Result<(), FailedStep> {
        self.changes.add(made.clone());
        self.record(name, StepState::Done, made).await
    }

    async fn record(&mut self, name: StepName, state: StepState, changes: &Changes) -> Result<(), FailedStep> {
        let attempts = self.steps.get(&name).map_or(0, |step| step.attempts);
        let earlier = self
            .steps
            .get(&name)
            .and_then(|step| serde_json::from_value::<Changes>(step.detail.clone()).ok());
        let mut all = earlier.unwrap_or_default();
        all.add(changes.clone());
        let step = Step {
            run_id: self.run.id,
            name,
            state,
            attempts: attempts + u32::from(state == StepState::Begun),
            detail: serde_json::to_value(&all).unwrap_or_else(|_| json!({})),
            at: self.ctx.now(),
        };
        self.ctx
            .store
            .put_step(&step)
            .await
            .map_err(|error| FailedStep::at(name, StepError::Store(error)))?;
        self.steps.insert(name, step);
        Ok(())
    }

    /// Puts the run's end on record, and tells.
    pub(crate) async fn end(mut self, end: Result<(), FailedStep>) -> AgentReport {
        let failure = end.err().map(|failed| failed.explain());
        let now = self.ctx.now();
        self.run.ended_at = Some(now);
        self.run.state = if failure.is_some() {
            RunState::Failed
        } else {
            RunState::Done
        };
        self.run.error = failure.as_ref().map(ToString::to_string);
        let transition = match &failure {
            None => Transition::Succeed {
                woken: self.woken_at(),
                pending: self.params.pending_deadline.map(Timestamp::from_millis),
                watched: self.ctx.settings.supervise,
                at: now,
            },
            Some(failure) => Transition::Fail {
                error: failure.to_string(),
                was_online: self.params.was_online,
            },
        };
        let failure = match self.put_end(transition).await {
            Ok(()) => failure,
            Err(error) => failure.or_else(|| Some(FailedStep::at(self.last_step(), StepError::Store(error)).explain())),
        };
        self.ctx.deadline_moved();
        self.note_activity(failure.as_ref()).await;
        self.report(failure)
    }

    /// In one transaction with the agent's record, which a check-in may have changed meanwhile.
    async fn put_end(&self, transition: Transition) -> Result<(), windlass_store::StoreError> {
        /// Each of these is a check-in that came in between.
        const TRIES: u32 = 8;
        let mut tries = 0;
        loop {
            if self.is_delete() && self.run.state == RunState::Done {
                return self.ctx.store.end_run_and_delete(&self.run).await.map(drop);
            }
            let mut agent = self.ctx.store.agent(self.run.agent_id).await?;
            if let Some(agent) = &mut agent {
                self.promote_token(agent);
                lifecycle::apply(agent, transition.clone());
            }
            match self.ctx.store.end_run(&self.run, agent.as_ref()).await {
                Err(windlass_store::StoreError::Conflict { .. }) if tries < TRIES => tries += 1,
                end => return end.map(drop),
            }
        }
    }

    /// The latest step that is on record.
    fn last_step(&self) -> StepName {
        self.steps.keys().copied().max().unwrap_or(StepName::Render)
    }

    async fn note_activity(&self, failure: Option<&ProvisionFailure>) {
        let agent = &self.records.agent;
        let (kind, message) = match failure {
            None => (format!("agent.{}.done", self.run.kind), format!("{}: done", agent.name)),
            Some(failure) => (
                format!("agent.{}.failed", self.run.kind),
                format!("{}: {failure}", agent.name),
            ),
        };
        let activity = NewActivity {
            actor: None,
            source: None,
            kind,
            message,
            agent_id: Some(agent.id),
            board_id: agent.board_id,
            at: self.ctx.now(),
        };
        if let Err(error) = self.ctx.store.record(&activity).await {
            tracing::warn!(agent = %agent.id, "an activity could not be recorded: {error}");
        }
    }

    fn report(self, failure: Option<ProvisionFailure>) -> AgentReport {
        let report = AgentReport {
            agent: self.records.agent.id,
            name: self.records.agent.name.clone(),
            changes: self.changes,
            warnings: self.warnings,
            failure,
            skipped: None,
        };
        self.progress.tell(ProvisionProgress::ended(&report));
        report
    }
}
