//! The steps that make an agent known to its gateway, give it a fresh session, wake it, and take it away.

use windlass_protocol::RetryPolicy;
use windlass_protocol::config::Roster;
use windlass_store::{Agent, AgentRole, StepName, Timestamp};

use super::{Saga, StepProgress};
use crate::control_plane::{AgentMessage, ControlError, Created, Patched, Removal, ResourceKind};
use crate::provisioner::report::{Changes, FailedStep, StepError};
use crate::provisioner::request::Wake;
use crate::provisioner::{content, lifecycle};

impl Saga {
    /// Makes the agent on the gateway, or corrects its name and workspace.
    pub(crate) async fn make_agent(&mut self, roster: &Roster) -> Result<(), FailedStep> {
        const STEP: StepName = StepName::Agent;
        let entry = self.enter(STEP);
        if entry == StepProgress::Done {
            return Ok(());
        }
        let card = self.records.card();
        let there = roster.agents.get(&card.id);
        let capabilities = self
            .plane
            .capabilities()
            .await
            .map_err(|error| FailedStep::at(STEP, error))?;
        if there.is_some_and(|there| self.records.matches(there, capabilities)) {
            return self.done(STEP, &Changes::default()).await;
        }
        let mut changes = Changes {
            created: there.is_none(),
            updated: there.is_some(),
            ..Changes::default()
        };
        self.begun(STEP, &changes).await?;
        let mut fresh = entry == StepProgress::Again;
        if there.is_none() {
            match self
                .plane
                .create_agent(&card)
                .await
                .map_err(|error| FailedStep::at(STEP, error))?
            {
                Created::Fresh => fresh = true,
                Created::AlreadyThere => changes.created = entry == StepProgress::Again,
                // The configuration makes it, in the next step.
                Created::ByConfig => return self.done(STEP, &changes).await,
            }
        }
        self.plane
            .update_agent(&card, fresh)
            .await
            .map_err(|error| FailedStep::at(STEP, error))?;
        self.done(STEP, &changes).await
    }

    /// Puts on record how writing the configuration ended. One write may be for many agents: it changed those that differed.
    pub(crate) async fn config_written(&mut self, patched: Patched) -> Result<(), FailedStep> {
        let changes = Changes {
            config: matches!(patched, Patched::Written { own: true, .. }),
            ..Changes::default()
        };
        self.done(StepName::Heartbeat, &changes).await
    }
}

impl Saga {
    /// Takes the agent and its session off the gateway, and asks the gateway's own agent to clean up.
    pub(crate) async fn remove(&mut self) -> Result<(), FailedStep> {
        self.remove_agent().await?;
        self.remove_session().await?;
        self.ask_to_clean_up().await
    }

    async fn remove_agent(&mut self) -> Result<(), FailedStep> {
        const STEP: StepName = StepName::DeleteAgent;
        if self.enter(STEP) == StepProgress::Done {
            return Ok(());
        }
        let planned = Changes {
            removed: true,
            ..Changes::default()
        };
        self.begun(STEP, &planned).await?;
        let id = self.records.agent_id();
        let delete_files = self.params.delete_files;
        let removed = self.plane.delete_agent(&id, delete_files).await;
        let removed = removed.map_err(|error| FailedStep::at(STEP, error))?;
        if delete_files && removed == Removal::FromConfig {
            let why = "the agent could only be taken out of the configuration";
            self.warnings
                .push(format!("its files stay on the gateway's host: {why}"));
        }
        self.done(
            STEP,
            &Changes {
                removed: removed != Removal::NotThere,
                ..Changes::default()
            },
        )
        .await
    }

    async fn remove_session(&mut self) -> Result<(), FailedStep> {
        const STEP: StepName = StepName::DeleteSession;
        if self.enter(STEP) == StepProgress::Done {
            return Ok(());
        }
        match self.plane.delete_session(self.records.session()).await {
            // It goes with its agent.
            Ok(_) | Err(ControlError::NotAllowed(ResourceKind::MainSession(_))) => {
                self.done(STEP, &Changes::default()).await
            }
            Err(error) => Err(FailedStep::at(STEP, error)),
        }
    }

    /// Best effort: a failed clean-up does not keep the agent from being deleted.
    async fn ask_to_clean_up(&mut self) -> Result<(), FailedStep> {
        const STEP: StepName = StepName::Cleanup;
        let entry = self.enter(STEP);
        if entry == StepProgress::Done {
            return Ok(());
        }
        let Some(main) = self.main_agent().await? else {
            return self.done(STEP, &Changes::default()).await;
        };
        self.begun(STEP, &Changes::default()).await?;
        let at = |why: StepError| FailedStep::at(STEP, why);
        let idempotency_key = self.run.wake_key.clone().unwrap_or_default();
        let text = content::cleanup_message(&self.ctx.templates, &self.records, &idempotency_key)
            .await
            .map_err(|error| at(error.into()))?;
        let message = AgentMessage {
            key: main.session_key,
            text,
            deliver: false,
            idempotency_key,
            tried_before: entry == StepProgress::Again,
            within: RetryPolicy::PROVISIONING.budget,
        };
        if let Err(error) = self.plane.send(&message).await {
            self.warnings
                .push(format!("the gateway's own agent was not asked to clean up: {error}"));
        }
        self.done(STEP, &Changes::default()).await
    }

    /// The gateway's own agent, if it has one that was brought to life and is not the one that goes.
    async fn main_agent(&self) -> Result<Option<Agent>, FailedStep> {
        let filter = windlass_store::AgentFilter {
            gateway: Some(self.records.gateway.id),
            role: Some(AgentRole::Main),
            ..Default::default()
        };
        let agents = self.ctx.store.agents(&filter).await;
        let agents = agents.map_err(|error| FailedStep::at(StepName::Cleanup, error))?;
        Ok(agents
            .into_iter()
            .find(|main| main.id != self.records.agent.id && !lifecycle::is_new(main)))
    }
}

impl Saga {
    /// Begins a fresh session where that was asked for.
    pub(crate) async fn reset(&mut self) -> Result<(), FailedStep> {
        const STEP: StepName = StepName::Reset;
        if !self.params.options.reset_session || self.is_awake().await? || self.enter(STEP) == StepProgress::Done {
            return Ok(());
        }
        let planned = Changes {
            reset: true,
            ..Changes::default()
        };
        self.begun(STEP, &planned).await?;
        let reset = self
            .plane
            .reset_session(self.records.session())
            .await
            .map_err(|error| FailedStep::at(STEP, error))?;
        self.done(
            STEP,
            &Changes {
                reset,
                ..Changes::default()
            },
        )
        .await
    }

    /// Wakes the agent, if that is wanted: once, however often this is begun.
    pub(crate) async fn wake(&mut self) -> Result<(), FailedStep> {
        const STEP: StepName = StepName::Wake;
        let changed = self.is_first() || self.changes.any();
        if !self.params.options.wake.wanted(changed) || self.is_awake().await? {
            return Ok(());
        }
        let entry = self.enter(STEP);
        if entry == StepProgress::Done {
            return Ok(());
        }
        let at = |error| FailedStep::at(STEP, error);
        let key = self.records.session().clone();
        let exists = self.plane.session(&key).await.map_err(at)?.is_some();
        // A session that is made before its first turn breaks on 2026.6.11: the message makes it, the label comes after.
        if exists {
            self.label().await;
        }
        let woken = Changes {
            woken: true,
            ..Changes::default()
        };
        self.begun(STEP, &woken).await?;
        self.woken_at = self.steps.get(&STEP).map(|step| step.at);
        let idempotency_key = self.run.wake_key.clone().unwrap_or_default();
        let text = self.desired().wake_message(&idempotency_key).await;
        let text = text.map_err(|error| FailedStep::at(STEP, error))?;
        let message = AgentMessage {
            key,
            text,
            deliver: self.params.options.deliver,
            idempotency_key,
            tried_before: entry == StepProgress::Again,
            within: RetryPolicy::PROVISIONING.budget,
        };
        self.plane.send(&message).await.map_err(at)?;
        if !exists {
            self.label().await;
        }
        self.done(STEP, &woken).await
    }

    /// Whether the agent needs no wake any more, where that counts: it may have answered the last one since this run began.
    async fn is_awake(&self) -> Result<bool, FailedStep> {
        // What was begun is brought to its end.
        let begun = [StepName::Reset, StepName::Wake]
            .iter()
            .any(|step| self.steps.contains_key(step));
        if self.params.options.wake != Wake::UnlessSeen || begun {
            return Ok(false);
        }
        let record = self.ctx.store.agent(self.records.agent.id).await;
        let record = record.map_err(|error| FailedStep::at(StepName::Wake, error))?;
        Ok(record.is_some_and(|agent| lifecycle::has_answered(&agent)))
    }

    /// A label only helps people to find the session: that it can't be set is no failure.
    async fn label(&mut self) {
        let label = &self.records.agent.name;
        if let Err(error) = self.plane.ensure_session(self.records.session(), Some(label)).await {
            self.warnings.push(format!("the session has no label: {error}"));
        }
    }

    /// When the wake began to be sent, if it was sent: the agent's words from then on are an answer.
    pub(crate) fn woken_at(&self) -> Option<Timestamp> {
        let step = self.steps.get(&StepName::Wake)?;
        let sent = self.woken_at.unwrap_or(step.at);
        self.is_done(StepName::Wake).then_some(sent)
    }
}
