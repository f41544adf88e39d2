//! Taking an agent out of a gateway's configuration: where there is no `agents.delete` (2026.1.30), and where it is refused
//! because the agents are in an included file (2026.9.6).

use windlass_protocol::AgentId;
use windlass_protocol::config::{ConfigSnapshot, plan_removal};

use super::OpenClaw;
use super::writer::{WriteOutcome, WriteStep, WriteTurn, no_plan};
use crate::control_plane::{ControlResult, Removal};

impl OpenClaw {
    /// Writes the roster without the agent.
    pub(super) async fn take_out(&self, id: &AgentId) -> ControlResult<Removal> {
        // Not gathered with other writes: they are about agents that stay.
        let _turn = self.writer.turn.lock().await;
        let mut turn = WriteTurn::begin(self.client());
        loop {
            self.wait_for_budget(&turn).await?;
            let snapshot = ConfigSnapshot::of(&self.config().await?);
            let planned = plan_removal(&snapshot, id).map_err(no_plan)?;
            match self.carry_out(&mut turn, &snapshot, planned).await {
                WriteStep::Again => {}
                WriteStep::End(end) => {
                    return end.map(|done| match done {
                        WriteOutcome::Unchanged => Removal::NotThere,
                        WriteOutcome::Written { .. } => Removal::FromConfig,
                    });
                }
                WriteStep::Guilty(_, error) => return Err(error),
            }
        }
    }
}
