//! `chat.history` and its rows.

use serde_json::{Value, json};

use super::{Run, frames, holder};
use crate::gateway::methods::Call;
use crate::gateway::methods::sessions::full_key;
use crate::gateway::profile::Profile;
use crate::gateway::random::Random;
use crate::gateway::server::Answer;
use crate::gateway::wire::WireError;

/// Most rows of one answer, in both generations.
const MAX_LIMIT: u64 = 1000;
/// Rows when no limit is asked for.
const DEFAULT_LIMIT: u64 = 200;

pub(super) fn user_row(profile: &Profile, random: &mut Random, run: &Run, now_ms: u64) -> Value {
    let mut row = if profile.v4() {
        json!({"role": "user", "content": run.message, "timestamp": now_ms})
    } else {
        json!({
            "role": "user", "content": [{"type": "text", "text": run.message}], "timestamp": now_ms,
            "senderLabel": run.sender_label,
        })
    };
    if profile.history_keys {
        row["idempotencyKey"] = json!(format!("{}:user", run.id));
    }
    if profile.history_meta {
        row["__openclaw"] = json!({"id": random.uuid()});
    }
    row
}

/// The assistant's row; a failed one says so, whatever the events said.
pub(super) fn assistant_row(
    profile: &Profile,
    random: &mut Random,
    run: &Run,
    error: Option<&str>,
    now_ms: u64,
) -> Value {
    let mut row = frames::message(&run.text, now_ms);
    row["provider"] = json!("fake");
    row["model"] = json!("fake-1");
    row["stopReason"] = json!(if error.is_some() { "error" } else { "stop" });
    if let Some(error) = error {
        row["errorMessage"] = json!(error);
    }
    if profile.history_meta {
        row["__openclaw"] = json!({"id": random.uuid(), "runId": run.id});
    }
    row
}

pub(crate) fn history(call: &Call<'_>) -> Answer {
    let profile = &call.server.profile;
    let key = full_key(&call.required("sessionKey"));
    let limit = call.params["limit"].as_u64().unwrap_or(DEFAULT_LIMIT);
    if limit > MAX_LIMIT {
        return WireError::invalid("invalid chat.history params: at /limit: must be <= 1000").into();
    }
    let (limit, offset) = (size(limit), size(call.params["offset"].as_u64().unwrap_or(0)));
    let session = call.state.sessions.get(&key);
    let rows = session.map_or(&[] as &[Value], |session| &session.rows);
    let end = rows.len().saturating_sub(offset);
    let begin = end.saturating_sub(limit);
    let messages: Vec<Value> = rows[begin..end]
        .iter()
        .enumerate()
        .map(|(at, row)| {
            let mut row = row.clone();
            if row.get("__openclaw").is_some() {
                row["__openclaw"]["seq"] = json!(begin + at + 1);
            }
            row
        })
        .collect();
    let mut payload = json!({"sessionKey": key, "messages": messages});
    if let Some(session) = session {
        payload["sessionId"] = json!(session.id);
    }
    if !profile.v4() {
        payload["thinkingLevel"] = json!("off");
        return Answer::ok(payload);
    }
    payload["pendingInputs"] = json!({"items": [], "total": 0});
    payload["hasMore"] = json!(begin > 0);
    payload["totalMessages"] = json!(rows.len());
    payload["defaults"] = json!({"modelProvider": "fake", "model": "fake-1"});
    payload["sessionInfo"] = json!({"key": key, "kind": "direct"});
    if begin > 0 {
        payload["nextOffset"] = json!(offset + end - begin);
    }
    if let Some(run) = holder(call.state, &key) {
        payload["inFlightRun"] = json!({"runId": run.id, "text": run.text});
    }
    Answer::ok(payload)
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
