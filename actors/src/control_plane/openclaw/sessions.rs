//! Sessions, and what is said in them.

use std::time::Duration;

use windlass_protocol::connection::Resend;
use windlass_protocol::request::{
    ChatHistory, ChatHistoryReply, ChatSend, ChatSendReply, SessionRow, SessionsDelete, SessionsDescribe, SessionsList,
    SessionsPatch, SessionsReset,
};
use windlass_protocol::{AgentId, CallError, SessionKey, agent_id_of};

use super::ask::{settle_delay, without_echo};
use super::{OpenClaw, has_text, rules};
use crate::control_plane::{ControlError, ControlPlane as _, ControlResult, Outgoing, Sent, SessionInfo, Thing};

/// Rows of a session's history in which a message is looked for: it was sent minutes ago at most.
const HISTORY_ROWS: u32 = 200;
/// 2026.6.11 takes a text that was just answered for a repetition, and forgets that after 2 s.
const REPETITION: Duration = Duration::from_millis(2500);
/// How often that is waited for.
const REPETITIONS: u32 = 3;

fn info(row: SessionRow) -> Option<SessionInfo> {
    Some(SessionInfo {
        key: SessionKey::parse(&row.key).ok()?,
        label: row.label,
        session_id: row.session_id,
        updated_at_ms: row.updated_at,
    })
}

impl OpenClaw {
    pub(super) async fn find_session(&self, key: &SessionKey) -> ControlResult<Option<SessionInfo>> {
        if self.has_method("sessions.describe").await? {
            let reply = self.ask(&SessionsDescribe::new(key.as_str()), Resend::Always).await?;
            return Ok(reply.session.and_then(info));
        }
        // Releases without `describe` list all sessions unless told otherwise.
        let space = self.line.status().borrow().key_space();
        let spellings = space.spellings(key.as_str());
        let mut request = SessionsList::new();
        request.agent_id = agent_id_of(spellings.canonical()).map(str::to_owned);
        request.include_global = space.is_global().then_some(true);
        let reply = self.ask(&request, Resend::Always).await?;
        let found = reply.sessions.into_iter().find(|row| spellings.include(&row.key));
        Ok(found.and_then(info))
    }

    async fn breaks_early_sessions(&self) -> ControlResult<bool> {
        Ok(!self.offers().await?.sessions_before_turns)
    }

    pub(super) async fn make_session(&self, key: &SessionKey, label: Option<&str>) -> ControlResult<()> {
        if self.breaks_early_sessions().await? && self.find_session(key).await?.is_none() {
            return Ok(());
        }
        let bare = SessionsPatch::new(key.as_str());
        let request = match label {
            Some(label) => bare.clone().label(label),
            None => bare.clone(),
        };
        match self.ask(&request, Resend::Always).await {
            Err(ControlError::Rejected(rejected)) if rules::label_taken(&rejected.error) => {
                self.ask(&bare, Resend::Always).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    pub(super) async fn empty_session(&self, key: &SessionKey) -> ControlResult<bool> {
        let Some(before) = self.find_session(key).await? else {
            return Ok(false);
        };
        // A session that was reset is one that exists before its first turn.
        if self.breaks_early_sessions().await? {
            return self.remove_session(key).await;
        }
        let request = SessionsReset::new(key.as_str());
        let start = self.line.now();
        let mut attempt = 0;
        loop {
            let Err(error) = self.once(&request, None, Resend::Never).await else {
                return Ok(true);
            };
            if matches!(error, CallError::OutcomeUnknown(_) | CallError::TimedOut(_))
                && self.find_session(key).await?.as_ref() != Some(&before)
            {
                return Ok(true);
            }
            attempt += 1;
            let Some(delay) = self.retry_delay(&error, Resend::Always, attempt, start) else {
                return Err(error.into());
            };
            tokio::time::sleep(delay).await;
        }
    }

    pub(super) async fn remove_session(&self, key: &SessionKey) -> ControlResult<bool> {
        let request = SessionsDelete::new(key.as_str());
        let start = self.line.now();
        let mut active = 0;
        let refused = loop {
            match self.ask(&request, Resend::Always).await {
                Ok(reply) => return Ok(reply.deleted.unwrap_or(false)),
                Err(ControlError::Rejected(rejected)) if rules::main_session_kept(&rejected.error) => {
                    break ControlError::NotAllowed(Thing::MainSession(key.to_string()));
                }
                Err(ControlError::Rejected(rejected))
                    if rules::session_active(&rejected.error)
                        && self.line.now().saturating_duration_since(start) < self.retry.budget =>
                {
                    active += 1;
                    tokio::time::sleep(settle_delay(active)).await;
                }
                Err(error) => return Err(error),
            }
        };
        // Refused for the name alone: whether there is such a session, and an agent that it belongs to, is not looked at.
        match key.agent_id() {
            Some(agent) if !self.is_configured(&agent).await? => Ok(false),
            _ if self.find_session(key).await?.is_none() => Ok(false),
            _ => Err(refused),
        }
    }

    pub(super) async fn say(&self, message: &Outgoing) -> ControlResult<Sent> {
        let request = ChatSend::new(message.key.as_str(), message.text.as_str()).deliver(message.deliver);
        let key = message.idempotency_key.as_str();
        let mut repeated = 0;
        loop {
            let reply = self
                .send_once(message.key.agent_id(), &request, key)
                .await
                .map_err(|error| without_echo(error, &message.text))?;
            let reply = match reply {
                ChatSendReply::Run(run) => run,
                // The agent will never see it, however often it is sent.
                ChatSendReply::Command(_) => return Err(ControlError::TakenAsCommand),
            };
            // Another run's id: nothing was started for this message.
            if reply.run_id == key || repeated == REPETITIONS {
                return Ok(Sent {
                    run_id: reply.run_id,
                    status: reply.status,
                });
            }
            repeated += 1;
            tokio::time::sleep(REPETITION).await;
        }
    }

    async fn send_once(&self, agent: Option<AgentId>, request: &ChatSend, key: &str) -> ControlResult<ChatSendReply> {
        match agent {
            Some(id) => self.ask_about(&id, false, request, Some(key), Resend::SameBoot).await,
            None => self.ask_keyed(request, Some(key), Resend::SameBoot).await,
        }
    }

    pub(super) async fn find_message(&self, key: &SessionKey, run: &str, marker: &str) -> ControlResult<bool> {
        let request = ChatHistory::new(key.as_str()).limit(HISTORY_ROWS);
        let history = self.ask(&request, Resend::Always).await?;
        Ok(is_in(&history, run, marker))
    }
}

/// Whether a message stands in the history, waits in the gateway's queue, or is being answered.
fn is_in(history: &ChatHistoryReply, run: &str, marker: &str) -> bool {
    let is_it = |text: &str| !marker.is_empty() && text.contains(marker);
    let in_rows = history.messages.iter().any(|row| {
        let keyed = row.run_id() == Some(run) || row.idempotency_key.as_deref() == Some(run);
        keyed || (row.role.as_deref() == Some("user") && row.text().is_some_and(|text| is_it(&text)))
    });
    let is_run = |text: &str| text == run;
    let running = history.in_flight_run.as_ref().and_then(|going| going.run_id.as_deref());
    let active = history
        .session_info
        .as_ref()
        .and_then(|row| row.extra.get("activeRunIds"));
    in_rows
        || running == Some(run)
        || active.is_some_and(|runs| has_text(runs, &is_run))
        || history
            .pending_inputs
            .as_ref()
            .is_some_and(|queue| has_text(queue, &|text| is_run(text) || is_it(text)))
}
