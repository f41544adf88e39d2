//! Making, changing and deleting agents.

use std::time::Duration;

use super::OpenClaw;
use super::settling::{ExpectedState, SETTLE_TRIES, settle_delay};
use super::writer::{WriteOutcome, WriteStep, WriteTurn, no_plan};
use crate::control_plane::{AgentSpec, ControlError, ControlResult, Created, Removal, ResourceKind};
use windlass_protocol::config::{ConfigSnapshot, Roster, plan_removal};
use windlass_protocol::connection::Resend;
use windlass_protocol::request::{AgentWait, AgentsCreate, AgentsDelete, AgentsUpdate};
use windlass_protocol::{AgentId, CallError, SessionKey, releases, slug};
use windlass_sessions::AskError;

/// How long a stopped run may take to end: it writes its last line, and its model's answer is cut off.
const RUN_END: Duration = Duration::from_secs(10);

impl OpenClaw {
    /// Whether the configuration has this agent, which it does from the moment at which the gateway made it.
    pub(super) async fn is_configured(&self, id: &AgentId) -> ControlResult<bool> {
        let reply = self.config().await?;
        let roster = Roster::read(ConfigSnapshot::of(&reply).roster());
        Ok(roster.agents.contains_key(id))
    }

    pub(super) async fn make_agent(&self, card: &AgentSpec) -> ControlResult<Created> {
        if !self.has_method("agents.create").await? {
            return Ok(Created::ByConfig);
        }
        // The gateway makes the id of the name: with any other name the agent would be another one.
        if slug(card.id.as_str()) != card.id.as_str() {
            return Err(ControlError::Invalid {
                why: format!("no gateway would make an agent with the id {}", card.id),
            });
        }
        let _own = self.only_writer(&card.id).await;
        let request = AgentsCreate::new(card.id.as_str(), card.workspace.as_str());
        let mut attempts = self.client().attempts(Resend::Always);
        let mut lost = false;
        loop {
            let turn = self.config_turn().await;
            let error = match self.client().ask_once(&request, Resend::Never).await {
                Ok(raw) => {
                    self.end_turn(turn, &card.id, ExpectedState::Made).await;
                    let reply: windlass_protocol::request::AgentsCreateReply =
                        raw.decode().map_err(|error| AskError::shape::<AgentsCreate>(&error))?;
                    return created(&reply.agent_id, &card.id);
                }
                Err(CallError::Rejected(rejected)) if releases::agent_exists(&rejected.error) => {
                    // What an answer was lost for a moment ago was made a moment ago.
                    return Ok(if lost { Created::Fresh } else { Created::AlreadyThere });
                }
                Err(error) => error,
            };
            drop(turn);
            if matches!(error, CallError::OutcomeUnknown(_) | CallError::TimedOut(_)) {
                lost = true;
                if self.is_configured(&card.id).await? {
                    return Ok(Created::Fresh);
                }
            }
            // Repeating is right either way: it is not there, or the second one is answered with "already exists".
            let Some(delay) = attempts.failed(&error) else {
                return Err(error.into());
            };
            tokio::time::sleep(delay).await;
        }
    }

    pub(super) async fn change_agent(&self, card: &AgentSpec, fresh: bool) -> ControlResult<()> {
        if !self.has_method("agents.update").await? {
            return Ok(());
        }
        let _own = self.only_writer(&card.id).await;
        let request = AgentsUpdate::new(card.id.as_str())
            .name(card.name.as_str())
            .workspace(card.workspace.as_str());
        let turn = self.config_turn().await;
        self.ask_about(&card.id, fresh, &request, Resend::Always).await?;
        self.end_turn(turn, &card.id, ExpectedState::Named(&card.name)).await;
        Ok(())
    }

    /// Stops the agent's runs and waits until they ended, as far as the gateway goes along. 2026.2.26 deletes the folder under a run, whose
    /// next line then ends the gateway's process.
    async fn stop_runs(&self, id: &AgentId) {
        let Ok(stopped) = self.sessions.abort(&SessionKey::main_of(id), None).await else {
            return;
        };
        for run in stopped {
            let wait = AgentWait::new(run).timeout_ms(u64::try_from(RUN_END.as_millis()).unwrap_or(u64::MAX));
            // A run that goes on all the same is no reason to keep the agent.
            let _ = self.client().ask(&wait, Resend::Always).await;
        }
    }

    pub(super) async fn remove_agent(&self, id: &AgentId, delete_files: bool) -> ControlResult<Removal> {
        let _own = self.only_writer(id).await;
        if !self.has_method("agents.delete").await? {
            return self.take_out(id).await;
        }
        self.stop_runs(id).await;
        let request = AgentsDelete::new(id.as_str()).delete_files(delete_files);
        let mut attempts = self.client().attempts(Resend::Always);
        let (mut unknown, mut busy, mut lost) = (0, 0, false);
        loop {
            let turn = self.config_turn().await;
            let error = match self.client().ask_once(&request, Resend::Never).await {
                Ok(_) => {
                    self.end_turn(turn, id, ExpectedState::Gone).await;
                    self.sessions.agent_deleted(id).await;
                    return Ok(Removal::Deleted);
                }
                Err(CallError::Rejected(rejected)) if releases::include_owned(&rejected.error) => {
                    drop(turn);
                    return self.take_out(id).await;
                }
                Err(CallError::Rejected(rejected)) if releases::agent_unknown(&rejected.error) => {
                    drop(turn);
                    unknown += 1;
                    // One that was made a moment ago is "not found" too (2026.2.26): it must not be left behind.
                    if !self.is_configured(id).await? {
                        if lost {
                            self.sessions.agent_deleted(id).await;
                            return Ok(Removal::Deleted);
                        }
                        return Ok(Removal::NotThere);
                    }
                    if unknown > SETTLE_TRIES {
                        return Err(ControlError::NotFound(ResourceKind::Agent(id.to_string())));
                    }
                    tokio::time::sleep(settle_delay(unknown)).await;
                    continue;
                }
                Err(CallError::Rejected(rejected))
                    if busy < SETTLE_TRIES && releases::bare_unavailable(&rejected.error) =>
                {
                    drop(turn);
                    busy += 1;
                    tokio::time::sleep(settle_delay(busy)).await;
                    continue;
                }
                Err(error) => error,
            };
            drop(turn);
            lost |= matches!(error, CallError::OutcomeUnknown(_) | CallError::TimedOut(_));
            let Some(delay) = attempts.failed(&error) else {
                return Err(error.into());
            };
            tokio::time::sleep(delay).await;
        }
    }
}

fn created(made: &str, wanted: &AgentId) -> ControlResult<Created> {
    if made == wanted.as_str() {
        return Ok(Created::Fresh);
    }
    Err(ControlError::Invalid {
        why: format!("the gateway made an agent with another id than {wanted}"),
    })
}

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
