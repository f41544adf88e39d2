//! Whether an agent answered a message of ours, by the session's history.

use windlass_protocol::SessionKey;
use windlass_protocol::connection::Resend;
use windlass_protocol::request::{ChatHistory, ChatHistoryReply};

use super::OpenClaw;
use crate::control_plane::ControlResult;

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
