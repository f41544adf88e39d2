//! Changes of a session: ensure, patch, reset, delete, abort.

use std::time::Duration;

use windlass_protocol::connection::Resend;
use windlass_protocol::request::{
    AgentsList, ChatAbort, ChatHistory, SessionEntry, SessionRow, SessionsDelete, SessionsPatch, SessionsReset,
    SessionsResetReply,
};
use windlass_protocol::{AgentId, CallError, HelloOk, SessionKey, agent_id_of};

use super::api::Sessions;
use super::error::{AskError, DeleteError, EnsureSessionError, PatchError};
use windlass_protocol::releases;

/// The waits before a session is deleted again in which a run goes on (2026.4.15 asks to try again in a moment): they double
/// from the first to the second of these.
const ACTIVE_PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));
/// How often a reset is tried without a retry policy, where its outcome is unknown and the session shows that it did not
/// happen.
const RESET_TRIES: u32 = 3;

/// How [`Sessions::ensure`] ended: the session that it found or made.
#[derive(Debug, Clone, PartialEq)]
pub enum EnsuredSession {
    /// It was there. Its label was set if one was given.
    There(Box<SessionRow>),
    /// It was made.
    Made(Box<SessionEntry>),
    /// It is not there, and its first message will make it: on 2026.6 one that is made before that breaks at its second
    /// message. Its label is not set.
    LeftToFirstMessage,
}

/// How [`Sessions::reset`] ended.
#[derive(Debug, Clone, PartialEq)]
pub enum ResetOutcome {
    /// The session is empty, and this is its entry; its run was ended.
    Emptied(Box<SessionEntry>),
    /// The session was deleted, and its next message makes it anew: on 2026.6 one that was reset breaks at its second
    /// message.
    Deleted,
    /// There was no such session, and none was made.
    NotThere,
}

/// How [`Sessions::delete`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// The session is gone, and its run was ended.
    Deleted {
        /// Where its transcript was put on the gateway's host.
        archived: Vec<String>,
    },
    /// There was no such session.
    NotThere,
}

impl Sessions {
    /// Sees to it that a session is there, with this label if one is given.
    ///
    /// # Errors
    /// [`EnsureSessionError`].
    pub async fn ensure(&self, key: &SessionKey, label: Option<&str>) -> Result<EnsuredSession, EnsureSessionError> {
        let hello = self.hello().await?;
        let found = self.look_up(&hello, key).await?;
        if found.is_none() {
            if releases::breaks_early_sessions(&hello.server.version) {
                return Ok(EnsuredSession::LeftToFirstMessage);
            }
            self.refuse_unknown_agent(key).await?;
        }
        let labelled = found.as_ref().is_some_and(|row| row.label.as_deref() == label);
        if let Some(row) = found.clone()
            && (labelled || label.is_none())
        {
            return Ok(EnsuredSession::There(Box::new(row)));
        }
        let mut request = SessionsPatch::new(key.as_str());
        request.label = label.map(Into::into);
        match (self.ask_patch(&request).await?, found) {
            (Some(_), Some(row)) => Ok(EnsuredSession::There(Box::new(SessionRow {
                label: label.map(str::to_owned),
                ..row
            }))),
            (Some(entry), None) => Ok(EnsuredSession::Made(Box::new(entry))),
            (None, found) => {
                if found.is_none() {
                    request.label = None;
                    self.ask_patch(&request).await?;
                }
                Err(EnsureSessionError::LabelTaken)
            }
        }
    }

    /// Gateways make sessions for agents that do not exist, too: all nine releases of 2026.
    async fn refuse_unknown_agent(&self, key: &SessionKey) -> Result<(), EnsureSessionError> {
        let canonical = self
            .line()
            .status()
            .borrow()
            .key_space()
            .spellings(key.as_str())
            .canonical()
            .to_owned();
        let Some(agent) = agent_id_of(&canonical).and_then(|id| AgentId::parse(id).ok()) else {
            return Ok(());
        };
        match self.client.ask(&AgentsList::new(), Resend::Always).await {
            Ok(roster) if roster.agents.iter().any(|row| row.id == agent.as_str()) => Ok(()),
            Ok(_) => Err(EnsureSessionError::UnknownAgent(agent)),
            // Without the right to list agents the session is made as the gateway does it.
            Err(error) if error.refusal().is_some() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets properties of a session. It is made if there is none, except where that would break it.
    ///
    /// # Errors
    /// [`PatchError`].
    pub async fn patch(&self, request: &SessionsPatch) -> Result<SessionEntry, PatchError> {
        let hello = self.hello().await?;
        if releases::breaks_early_sessions(&hello.server.version)
            && let Ok(key) = SessionKey::parse(&request.key)
            && self.look_up(&hello, &key).await?.is_none()
        {
            return Err(PatchError::BeforeFirstMessage);
        }
        self.ask_patch(request).await?.ok_or(PatchError::LabelTaken)
    }

    /// Nothing when another session has the label.
    async fn ask_patch(&self, request: &SessionsPatch) -> Result<Option<SessionEntry>, AskError> {
        match self.client.ask(request, Resend::Always).await {
            Ok(reply) => Ok(Some(reply.entry)),
            Err(error) if error.refusal().is_some_and(releases::label_taken) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Empties a session, and ends its run. A session that does not exist is not made.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn reset(&self, key: &SessionKey) -> Result<ResetOutcome, AskError> {
        let hello = self.hello().await?;
        let Some(before) = self.look_up(&hello, key).await? else {
            return Ok(ResetOutcome::NotThere);
        };
        if releases::breaks_early_sessions(&hello.server.version) {
            match self.delete(key).await {
                Ok(DeleteOutcome::Deleted { .. }) => return Ok(ResetOutcome::Deleted),
                Ok(DeleteOutcome::NotThere) => return Ok(ResetOutcome::NotThere),
                // Nothing else is left than what the release has for it.
                Err(DeleteError::MainSession(_) | DeleteError::StillActive) => {}
                Err(DeleteError::Ask(error)) => return Err(error),
            }
        }
        let entry = self.reset_once(&hello, key, &before).await?;
        self.manager.session_replaced(self.line(), key).await;
        Ok(ResetOutcome::Emptied(Box::new(entry)))
    }

    /// Looks at the session before it repeats a reset whose outcome is unknown.
    async fn reset_once(
        &self,
        hello: &HelloOk,
        key: &SessionKey,
        before: &SessionRow,
    ) -> Result<SessionEntry, AskError> {
        let request = SessionsReset::new(key.as_str());
        let mut attempts = self.client.attempts(Resend::Always);
        let mut tries = 0;
        loop {
            let error = match self.client.ask_once(&request, Resend::Never).await {
                Ok(reply) => {
                    let reply: SessionsResetReply = reply
                        .decode()
                        .map_err(|error| AskError::shape::<SessionsReset>(&error))?;
                    return Ok(reply.entry);
                }
                Err(error) => error,
            };
            tries += 1;
            let unknown = matches!(error, CallError::OutcomeUnknown(_) | CallError::TimedOut(_));
            if unknown && let Some(entry) = self.emptied(hello, key, before).await? {
                return Ok(entry);
            }
            match attempts.failed(&error) {
                Some(wait) => tokio::time::sleep(wait).await,
                None if !self.client.retries() && unknown && tries < RESET_TRIES => {}
                None => return Err(error.into()),
            }
        }
    }

    /// The entry of a session that has been reset: generation 3 gives it another transcript, and on all it has no rows.
    async fn emptied(
        &self,
        hello: &HelloOk,
        key: &SessionKey,
        before: &SessionRow,
    ) -> Result<Option<SessionEntry>, AskError> {
        let Some(after) = self.look_up(hello, key).await? else {
            return Ok(None);
        };
        let request = ChatHistory::new(key.as_str()).limit(1_u32);
        let moved = before.session_id != after.session_id;
        let rows = self.client.ask(&request, Resend::Always).await?.messages;
        Ok((moved || rows.is_empty()).then(|| entry_of(after)).flatten())
    }

    /// Deletes a session, and ends its run.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub async fn delete(&self, key: &SessionKey) -> Result<DeleteOutcome, DeleteError> {
        let request = SessionsDelete::new(key.as_str());
        let began = self.line().now();
        let mut pause = ACTIVE_PAUSES.0;
        let error = loop {
            let error = match self.client.ask(&request, Resend::Always).await {
                Ok(reply) if reply.deleted == Some(false) => return Ok(DeleteOutcome::NotThere),
                Ok(reply) => {
                    self.manager.session_replaced(self.line(), key).await;
                    let archived = reply.archived.unwrap_or_default();
                    return Ok(DeleteOutcome::Deleted { archived });
                }
                Err(error) => error,
            };
            if !error.refusal().is_some_and(releases::session_active) {
                break error;
            }
            let waited = self.line().now().saturating_duration_since(began);
            if waited.saturating_add(pause) >= self.client.patience() {
                return Err(DeleteError::StillActive);
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(ACTIVE_PAUSES.1);
        };
        if !error.refusal().is_some_and(releases::main_session_kept) {
            return Err(error.into());
        }
        // Refused for the name alone: whether there is one is not looked at.
        let hello = self.hello().await?;
        match self.look_up(&hello, key).await? {
            Some(_) => Err(DeleteError::MainSession(key.clone())),
            None => Ok(DeleteOutcome::NotThere),
        }
    }

    /// Stops one run of a session, or all of them, and returns the ids of the stopped runs. An empty list is no error.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn abort(&self, key: &SessionKey, run_id: Option<&str>) -> Result<Vec<String>, AskError> {
        let mut request = ChatAbort::new(key.as_str());
        request.run_id = run_id.map(str::to_owned);
        // A run that is stopped twice is stopped; "whatever runs" may be another run by then.
        let resend = match run_id {
            Some(_) => Resend::Always,
            None => Resend::Never,
        };
        Ok(self.client.ask(&request, resend).await?.run_ids)
    }
}

/// The session entry that a row describes.
fn entry_of(row: SessionRow) -> Option<SessionEntry> {
    let entry = serde_json::json!({ "sessionId": row.session_id?, "updatedAt": row.updated_at, "label": row.label });
    serde_json::from_value(entry).ok()
}
