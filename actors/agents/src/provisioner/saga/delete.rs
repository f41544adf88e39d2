//! The steps that take an agent away.

use windlass_protocol::RetryPolicy;
use windlass_store::{Agent, AgentRole, StepName};

use super::super::content;
use super::super::failure::{Failed, Why};
use super::super::lifecycle;
use super::super::report::Changes;
use super::{Saga, StepProgress};
use crate::control_plane::{ControlError, Outgoing, Removal, ResourceKind};

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

    /// Best effort: that nobody cleans up keeps no agent from being deleted.
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
