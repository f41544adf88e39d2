//! The files of an agent's workspace, and the scratch of its heartbeat monitor.

use windlass_protocol::connection::Resend;
use windlass_protocol::request::{
    AgentsFilesDelete, AgentsFilesGet, AgentsFilesList, AgentsFilesSet, CronList, CronScratchGet, CronScratchReply,
    CronScratchSet,
};
use windlass_protocol::{AgentId, DetailCode, releases};

use super::OpenClaw;
use super::settling::{SETTLE_TRIES, settle_delay, without_echo};
use crate::control_plane::{ConfigFault, ControlError, ControlResult, FileEntry, FileWrite, Scratch};

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
            Err(ControlError::Rejected(rejected)) if releases::file_unsupported(&rejected.error) => Ok(None),
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
                Err(ControlError::Rejected(rejected)) if releases::file_unsupported(&rejected.error) => {
                    return Ok(FileWrite::Unsupported);
                }
                // Somebody else writes it just now.
                Err(ControlError::Rejected(rejected))
                    if releases::file_busy(&rejected.error) && attempt < SETTLE_TRIES =>
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
                if releases::file_unsupported(&rejected.error) || releases::unknown_method(&rejected.error) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// How often a scratch is read again because another client wrote first.
const CONFLICTS: u32 = 5;
/// Pages of jobs that are looked through: an agent has a handful of jobs, a page has 50.
const PAGES: u32 = 20;

/// A monitor that is gone between the list and the call.
fn is_gone(error: &ControlError) -> bool {
    matches!(error, ControlError::Rejected(rejected) if rejected.error.detail_code() == Some(DetailCode::CronJobNotFound))
}

fn read(reply: CronScratchReply) -> Scratch {
    Scratch {
        content: reply.scratch.map(|scratch| scratch.content),
        revision: reply.current_revision.unwrap_or(0),
    }
}

impl OpenClaw {
    async fn offers_scratch(&self) -> ControlResult<bool> {
        Ok(self.has_method("cron.scratch.get").await? && self.has_method("cron.scratch.set").await?)
    }

    /// The id of the agent's heartbeat monitor. It is there, switched off, from soon after the agent was made.
    async fn monitor(&self, id: &AgentId) -> ControlResult<Option<String>> {
        let declared = format!("heartbeat:{id}");
        let mut request = CronList::new().include_disabled(true).agent_id(id.as_str());
        for _ in 0..PAGES {
            let reply = self.ask(&request, Resend::Always).await?;
            let found = reply
                .jobs
                .into_iter()
                .find(|job| job.declaration_key.as_deref() == Some(&declared));
            if let Some(job) = found {
                return Ok(Some(job.id));
            }
            match reply.next_offset.filter(|_| reply.has_more == Some(true)) {
                Some(offset) => request = request.offset(offset),
                None => break,
            }
        }
        Ok(None)
    }

    pub(super) async fn read_scratch(&self, id: &AgentId) -> ControlResult<Option<Scratch>> {
        if !self.offers_scratch().await? {
            return Ok(None);
        }
        let Some(job) = self.monitor(id).await? else {
            return Ok(None);
        };
        match self.ask(&CronScratchGet::new(job), Resend::Always).await {
            Ok(reply) => Ok(Some(read(reply))),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn write_scratch(&self, id: &AgentId, content: &str) -> ControlResult<bool> {
        if !self.offers_scratch().await? {
            return Ok(false);
        }
        let _own = self.only_writer(id).await;
        let (mut missing, mut conflicts) = (0, 0);
        loop {
            let Some(job) = self.monitor(id).await? else {
                missing += 1;
                if missing > SETTLE_TRIES || (missing == 1 && !self.is_configured(id).await?) {
                    return Ok(false);
                }
                tokio::time::sleep(settle_delay(missing)).await;
                continue;
            };
            match self.try_scratch(&job, content).await {
                Ok(true) => return Ok(true),
                Ok(false) if conflicts < CONFLICTS => conflicts += 1,
                Ok(false) => {
                    return Err(ConfigFault::Contended {
                        attempts: conflicts + 1,
                    }
                    .into());
                }
                Err(error) if is_gone(&error) && missing < SETTLE_TRIES => missing += 1,
                Err(error) => return Err(without_echo(error, content)),
            }
        }
    }

    /// `false`: another client wrote between, or the outcome is unknown.
    async fn try_scratch(&self, job: &str, content: &str) -> ControlResult<bool> {
        let now = read(self.ask(&CronScratchGet::new(job), Resend::Always).await?);
        if now.content.as_deref() == Some(content) {
            return Ok(true);
        }
        let request = CronScratchSet::new(job, content).expected_revision(now.revision);
        match self.ask(&request, Resend::Never).await {
            Ok(reply) => Ok(!reply.is_conflict()),
            Err(error) if error.is_outcome_unknown() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
