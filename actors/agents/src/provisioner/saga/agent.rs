//! The steps that make an agent known to its gateway.

use windlass_protocol::config::Roster;
use windlass_store::StepName;

use super::super::failure::Failed;
use super::super::report::Changes;
use super::{Saga, StepProgress};
use crate::control_plane::{Created, Patched};

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
