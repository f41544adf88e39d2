//! Sessions, and messages in them: the session API, with the errors and the patience of a control plane.
//! Whether an agent answered a message of ours is read from the session's history.

use std::time::Duration;

use windlass_protocol::connection::Resend;
use windlass_protocol::request::{ChatHistory, ChatHistoryReply, SessionRow};
use windlass_protocol::run::{ResendAfterLoss, RunEnd};
use windlass_protocol::{CallError, MethodName, NotSent, Rejected, SessionKey, releases};
use windlass_sessions::{
    DeleteError, DeleteOutcome, EnsureSessionError, Handover, ListError, ResetOutcome, SendError, SessionQuery,
};

use super::OpenClaw;
use super::settling::without_echo;
use crate::control_plane::{AgentMessage, ControlError, ControlResult, ResourceKind, SessionInfo};

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
        Ok(self.sessions.find(key).await?.and_then(info))
    }

    pub(super) async fn list_active(&self, within: Duration) -> ControlResult<Vec<SessionInfo>> {
        let query = SessionQuery::all().active_within(within);
        let rows = self.sessions.list(&query).await;
        let rows = rows.map_err(|error| match error {
            ListError::Ask(error) => ControlError::from(error),
            more => invalid(&more),
        })?;
        Ok(rows.into_iter().filter_map(info).collect())
    }

    /// A label that another session has is left out.
    pub(super) async fn make_session(&self, key: &SessionKey, label: Option<&str>) -> ControlResult<()> {
        let mut unknown = 0;
        loop {
            match self.sessions.ensure(key, label).await {
                Ok(_) | Err(EnsureSessionError::LabelTaken) => return Ok(()),
                Err(EnsureSessionError::UnknownAgent(agent)) => self.agent_settles(&agent, false, &mut unknown).await?,
                Err(EnsureSessionError::Ask(error)) => return Err(error.into()),
            }
        }
    }

    pub(super) async fn empty_session(&self, key: &SessionKey) -> ControlResult<bool> {
        match self.sessions.reset(key).await? {
            ResetOutcome::Emptied(_) | ResetOutcome::Deleted => Ok(true),
            ResetOutcome::NotThere => Ok(false),
        }
    }

    pub(super) async fn remove_session(&self, key: &SessionKey) -> ControlResult<bool> {
        match self.sessions.delete(key).await {
            Ok(DeleteOutcome::Deleted { .. }) => Ok(true),
            Ok(DeleteOutcome::NotThere) => Ok(false),
            Err(DeleteError::Ask(error)) => Err(error.into()),
            Err(DeleteError::StillActive) => Err(ControlError::SessionBusy {
                session: key.to_string(),
            }),
            // Refused by its name alone: the agent that it belongs to may be gone.
            Err(DeleteError::MainSession(_)) => match key.agent_id() {
                Some(agent) if !self.is_configured(&agent).await? => Ok(false),
                _ => Err(ControlError::NotAllowed(ResourceKind::MainSession(key.to_string()))),
            },
        }
    }

    pub(super) async fn say(&self, message: &AgentMessage) -> ControlResult<()> {
        let mut unknown = 0;
        loop {
            let end = self.hand_over(message).await;
            match (end, message.key.agent_id()) {
                (Err(ControlError::Rejected(rejected)), Some(agent)) if releases::agent_unknown(&rejected.error) => {
                    self.agent_settles(&agent, false, &mut unknown).await?;
                }
                (end, _) => return end.map_err(|error| without_echo(error, &message.text)),
            }
        }
    }

    async fn hand_over(&self, message: &AgentMessage) -> ControlResult<()> {
        let prepared = self.sessions.message(message.key.clone(), message.text.as_str());
        let prepared = prepared
            .deliver(message.deliver)
            // What the caller has on record is to arrive, whatever became of an earlier attempt.
            .resend_after_loss(ResendAfterLoss::Always)
            .give_up_after(message.within);
        let key = message.idempotency_key.as_str();
        let prepared = if message.tried_before {
            prepared.continuing(key)
        } else {
            prepared.key(key)
        };
        match self.sessions.hand_over(prepared).await {
            Ok(Handover::Taken) => Ok(()),
            Ok(Handover::Ended(end)) => taken(end),
            Err(SendError::TooMany { limit }) => Err(CallError::from(NotSent::QueueFull { limit }).into()),
            // Without a record and with a key of its own there is no other error.
            Err(_) => Err(CallError::from(NotSent::Closed).into()),
        }
    }
}

/// Whether a message that came to its end at once has reached the agent.
fn taken(end: RunEnd) -> ControlResult<()> {
    match end {
        RunEnd::Command(_) => Err(ControlError::TakenAsCommand),
        RunEnd::Refused(error) => {
            let method = MethodName::new("chat.send").map_err(|error| invalid(&error))?;
            Err(CallError::from(Box::new(Rejected { method, error })).into())
        }
        RunEnd::NotSent(why) => Err(CallError::from(why).into()),
        RunEnd::Unknown(doubt) => Err(ControlError::Unknown(doubt)),
        RunEnd::Aborted { .. } => Err(ControlError::Cancelled),
        // It stands in the session, whatever became of its run.
        _ => Ok(()),
    }
}

fn invalid(error: &impl ToString) -> ControlError {
    ControlError::Invalid { why: error.to_string() }
}

/// Rows that are looked at: a message whose answer is asked about is among the newest of its session.
const HISTORY_ROWS: u32 = 200;

impl OpenClaw {
    /// Whether an answer stands behind the message.
    pub(super) async fn find_answer(&self, key: &SessionKey, run: &str, marker: &str) -> ControlResult<bool> {
        let request = ChatHistory::new(key.as_str()).limit(HISTORY_ROWS);
        let history = self.ask(&request, Resend::Always).await?;
        Ok(is_answered(&history, run, marker))
    }
}

/// By the order of the rows: the gateway's clock need not be ours.
fn is_answered(history: &ChatHistoryReply, run: &str, marker: &str) -> bool {
    let is_message = |text: &str| !marker.is_empty() && text.contains(marker);
    let mut behind = false;
    for row in &history.messages {
        match row.role.as_deref() {
            Some("user") => {
                let keyed = row.run_id() == Some(run) || row.idempotency_key.as_deref() == Some(run);
                behind |= keyed || row.text().is_some_and(|text| is_message(&text));
            }
            Some("assistant") if behind => {
                let failed = row.extra.get("stopReason").is_some_and(|reason| reason == "error");
                if !failed && row.text().is_some_and(|text| !text.trim().is_empty()) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use windlass_protocol::run::{Doubt, Evidence, Loss};

    use super::*;

    #[test]
    fn a_message_that_the_gateway_cancelled_has_not_reached_the_agent() {
        let cancelled = RunEnd::Aborted {
            run_id: "r".into(),
            reason: Some("cancelled".into()),
            text: None,
            by: Evidence::History,
        };
        assert_eq!(taken(cancelled), Err(ControlError::Cancelled));
        assert_eq!(taken(RunEnd::Lost(Loss::NotResumed)), Ok(()));
        let unknown = taken(RunEnd::Unknown(Doubt::TimedOut)).unwrap_err();
        assert!(unknown.is_outcome_unknown() && unknown.is_transient());
    }
}

#[cfg(test)]
mod answers_tests {
    use serde_json::{Value, json};

    use super::*;

    fn answered(rows: &Value) -> bool {
        let history = serde_json::from_value(json!({"sessionKey": "agent:a:main", "messages": rows})).unwrap();
        is_answered(&history, "wake-1", "ref-1")
    }

    #[test]
    fn only_words_behind_the_message_are_its_answer() {
        let user = |text: &str| json!({"role": "user", "content": [{"type": "text", "text": text}]});
        let says = |text: &str| json!({"role": "assistant", "content": [{"type": "text", "text": text}]});
        let keyed = json!({"role": "user", "content": "hello", "idempotencyKey": "wake-1:user"});
        let failed = json!({"role": "assistant", "content": [], "stopReason": "error", "errorMessage": "no"});
        assert!(!answered(&json!([])));
        assert!(!answered(&json!([says("before"), user("hello ref-1")])));
        assert!(!answered(&json!([user("hello ref-2"), says("to another")])));
        assert!(!answered(&json!([user("hello ref-1"), failed])));
        assert!(answered(&json!([user("hello ref-1"), says("awake")])));
        assert!(answered(&json!([says("before"), keyed, says("awake")])));
    }
}
