//! Taking an agent out of a gateway's configuration, where there is no `agents.delete` (2026.1.30).

use windlass_protocol::AgentId;
use windlass_protocol::config::{ConfigSnapshot, plan_removal};

use super::OpenClaw;
use super::writer::{Step, Turn, no_plan};
use crate::control_plane::{ControlResult, Patched};

impl OpenClaw {
    /// Writes the roster without the agent. Whether it was there.
    pub(super) async fn take_out(&self, id: &AgentId) -> ControlResult<bool> {
        // Not gathered with other writes: they are about agents that stay.
        let _turn = self.writer.turn.lock().await;
        let start = self.line.now();
        let mut turn = Turn::default();
        loop {
            self.wait_for_budget().await;
            let snapshot = ConfigSnapshot::of(&self.config().await?);
            let planned = plan_removal(&snapshot, id).map_err(no_plan)?;
            match self.carry_out(&mut turn, start, &snapshot, planned).await {
                Step::Again => {}
                Step::End(end) => return end.map(|patched| matches!(patched, Patched::Written { .. })),
                Step::Guilty(_, error) => return Err(error),
            }
        }
    }
}
