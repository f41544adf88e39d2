//! Reading and writing who an agent is.

use windlass_store::{Agent, FileOverride};
use windlass_templates::Content;

use super::context::{CoordinatorContext, check_message};
use super::error::CoordinationError;
use super::operation::Soul;
use super::policy;
use crate::control_plane::FileWrite;

impl CoordinatorContext {
    /// An agent's `SOUL.md`, as it stands on its gateway.
    pub(super) async fn read_soul(&self, soul: Soul) -> Result<String, CoordinationError> {
        self.in_time(async {
            let target = self.agent(soul.agent).await?;
            let caller = self.caller(soul.caller).await?;
            policy::may_read_soul(caller.as_ref(), &target, soul.board)?;
            let (_, gateway) = self.board(soul.board).await?;
            let plane = self.plane(&gateway).await?;
            let text = plane.get_file(&target.agent_id(), Content::Soul.file_name()).await?;
            text.ok_or(CoordinationError::NoSoul)
        })
        .await
    }

    /// Gives an agent another `SOUL.md`. It is on record before it is written: whatever becomes of the gateway, the next
    /// provisioning writes the same.
    pub(super) async fn write_soul(&self, soul: Soul, content: String) -> Result<(), CoordinationError> {
        let correlation_id = self.correlation(None);
        let target = self.agent(soul.agent).await?;
        let end = self.in_time(self.try_write_soul(&soul, &target, &content)).await;
        self.note("agent.soul", soul.board, Some(&target), &end, &correlation_id)
            .await;
        end
    }

    async fn try_write_soul(&self, soul: &Soul, target: &Agent, content: &str) -> Result<(), CoordinationError> {
        check_message("content", content, false)?;
        let caller = self.caller(soul.caller).await?;
        policy::may_write_soul(caller.as_ref(), target, soul.board)?;
        let (_, gateway) = self.board(soul.board).await?;
        let kept = windlass_store::amend(&*self.store, target.id, |agent| {
            agent.soul_override = Some(FileOverride::Text(content.to_owned()));
        });
        kept.await?.ok_or(CoordinationError::NoAgent(target.id))?;
        let plane = self.plane(&gateway).await?;
        let name = Content::Soul.file_name();
        match plane.set_file(&target.agent_id(), name, content).await? {
            FileWrite::Written => Ok(()),
            FileWrite::Unsupported => Err(CoordinationError::Invalid {
                field: "SOUL.md",
                why: "is not taken by this gateway".into(),
            }),
        }
    }
}
