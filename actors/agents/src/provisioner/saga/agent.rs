//! The steps that make an agent known to its gateway, and those that take it away.

use super::super::report::Changes;
use super::super::report::{Failed, Why};
use super::super::{content, lifecycle};
use super::{Saga, StepProgress};
use crate::control_plane::{ControlError, Created, Outgoing, Patched, Removal, ResourceKind};
use windlass_protocol::RetryPolicy;
use windlass_protocol::config::Roster;
use windlass_store::{Agent, AgentRole, StepName};

impl Saga {
    /// Makes the agent on the gateway, or corrects its name and workspace.
    pub(in super::super) async fn make_agent(&mut self, roster: &Roster) -> Result<(), Failed> {
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
            .map_err(|error| Failed::at(STEP, error))?;
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
                .map_err(|error| Failed::at(STEP, error))?
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
            .map_err(|error| Failed::at(STEP, error))?;
        self.done(STEP, &changes).await
    }

    /// Puts on record how writing the configuration ended. One write may be for many agents: it changed those that differed.
    pub(in super::super) async fn config_written(&mut self, patched: Patched) -> Result<(), Failed> {
        let changes = Changes {
            config: matches!(patched, Patched::Written { own: true, .. }),
            ..Changes::default()
        };
        self.done(StepName::Heartbeat, &changes).await
    }
}

impl Saga {
    /// Takes the agent and its session off the gateway, and asks the gateway's own agent to clean up.
    pub(in super::super) async fn remove(&mut self) -> Result<(), Failed> {
        self.remove_agent().await?;
        self.remove_session().await?;
        self.ask_to_clean_up().await
    }

    async fn remove_agent(&mut self) -> Result<(), Failed> {
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
        let removed = removed.map_err(|error| Failed::at(STEP, error))?;
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

    async fn remove_session(&mut self) -> Result<(), Failed> {
        const STEP: StepName = StepName::DeleteSession;
        if self.enter(STEP) == StepProgress::Done {
            return Ok(());
        }
        match self.plane.delete_session(self.records.session()).await {
            // It goes with its agent.
            Ok(_) | Err(ControlError::NotAllowed(ResourceKind::MainSession(_))) => {
                self.done(STEP, &Changes::default()).await
            }
            Err(error) => Err(Failed::at(STEP, error)),
        }
    }

    /// Best effort: a failed clean-up does not keep the agent from being deleted.
    async fn ask_to_clean_up(&mut self) -> Result<(), Failed> {
        const STEP: StepName = StepName::Cleanup;
        let entry = self.enter(STEP);
        if entry == StepProgress::Done {
            return Ok(());
        }
        let Some(main) = self.main_agent().await? else {
            return self.done(STEP, &Changes::default()).await;
        };
        self.begun(STEP, &Changes::default()).await?;
        let at = |why: Why| Failed::at(STEP, why);
        let idempotency_key = self.run.wake_key.clone().unwrap_or_default();
        let text = content::cleanup_message(&self.ctx.templates, &self.records, &idempotency_key)
            .await
            .map_err(|error| at(error.into()))?;
        let message = Outgoing {
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
    async fn main_agent(&self) -> Result<Option<Agent>, Failed> {
        let filter = windlass_store::AgentFilter {
            gateway: Some(self.records.gateway.id),
            role: Some(AgentRole::Main),
            ..Default::default()
        };
        let agents = self.ctx.store.agents(&filter).await;
        let agents = agents.map_err(|error| Failed::at(StepName::Cleanup, error))?;
        Ok(agents
            .into_iter()
            .find(|main| main.id != self.records.agent.id && !lifecycle::is_new(main)))
    }
}
