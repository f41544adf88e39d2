//! The files of an agent's workspace.

use windlass_protocol::AgentId;
use windlass_protocol::connection::Resend;
use windlass_protocol::releases::refusals;
use windlass_protocol::request::{AgentsFilesDelete, AgentsFilesGet, AgentsFilesList, AgentsFilesSet};

use super::OpenClaw;
use super::settling::{SETTLE_TRIES, settle_delay, without_echo};
use crate::control_plane::{ControlError, ControlResult, FileEntry, FileWrite};

impl OpenClaw {
    pub(super) async fn files_of(&self, id: &AgentId) -> ControlResult<Vec<FileEntry>> {
        if !self.has_method("agents.files.list").await? {
            return Ok(Vec::new());
        }
        let request = AgentsFilesList::new(id.as_str());
        let reply = self.ask_about(id, false, &request, Resend::Always).await?;
        let entry = |file: windlass_protocol::request::AgentFile| FileEntry {
            name: file.name,
            missing: file.missing,
        };
        Ok(reply.files.into_iter().map(entry).collect())
    }

    pub(super) async fn read_file(&self, id: &AgentId, name: &str) -> ControlResult<Option<String>> {
        if !self.has_method("agents.files.get").await? {
            return Ok(None);
        }
        let request = AgentsFilesGet::new(id.as_str(), name);
        match self.ask_about(id, false, &request, Resend::Always).await {
            Ok(reply) => Ok(reply.file.content.filter(|_| !reply.file.missing)),
            Err(ControlError::Rejected(rejected)) if refusals::file_unsupported(&rejected.error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn write_file(&self, id: &AgentId, name: &str, content: &str) -> ControlResult<FileWrite> {
        if !self.has_method("agents.files.set").await? {
            return Ok(FileWrite::Unsupported);
        }
        let _own = self.only_writer(id).await;
        let request = AgentsFilesSet::new(id.as_str(), name, content);
        let mut attempt = 0;
        loop {
            match self.ask_about(id, false, &request, Resend::Always).await {
                Ok(_) => return Ok(FileWrite::Written),
                Err(ControlError::Rejected(rejected)) if refusals::file_unsupported(&rejected.error) => {
                    return Ok(FileWrite::Unsupported);
                }
                // Somebody else writes it just now.
                Err(ControlError::Rejected(rejected))
                    if refusals::file_busy(&rejected.error) && attempt < SETTLE_TRIES =>
                {
                    attempt += 1;
                    tokio::time::sleep(settle_delay(attempt)).await;
                }
                Err(error) => return Err(without_echo(error, content)),
            }
        }
    }

    pub(super) async fn remove_file(&self, id: &AgentId, name: &str) -> ControlResult<bool> {
        if !self.has_method("agents.files.delete").await? {
            return Ok(false);
        }
        let _own = self.only_writer(id).await;
        let request = AgentsFilesDelete::new(id.as_str(), name);
        match self.ask_about(id, false, &request, Resend::Always).await {
            Ok(_) => Ok(true),
            Err(ControlError::Rejected(rejected))
                if refusals::file_unsupported(&rejected.error) || refusals::unknown_method(&rejected.error) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
