//! `chat.history` and its rows.

use serde_json::{Value, json};

use super::{Run, frames, holder};
use crate::gateway::halves;
use crate::gateway::methods::Call;
use crate::gateway::methods::sessions::full_key;
use crate::gateway::profile::Profile;
use crate::gateway::random::Random;
use crate::gateway::server::Answer;
use crate::gateway::state::Session;
use crate::gateway::wire::WireError;

/// Most rows of one answer, in both generations.
const MAX_LIMIT: u64 = 1000;
/// Most rows that a cursor may be behind (9.6, by its documentation).
const MOST_ADDED: usize = 200;
/// Rows when no limit is asked for.
const DEFAULT_LIMIT: u64 = 200;

pub(super) fn user_row(profile: &Profile, random: &mut Random, run: &Run) -> Value {
    let mut row = if profile.v4() {
        json!({"role": "user", "content": run.message, "timestamp": run.came_ms})
    } else {
        json!({
            "role": "user", "content": [{"type": "text", "text": run.message}], "timestamp": run.came_ms,
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
    let asked = call.required("sessionKey");
    let key = full_key(call, &asked);
    let limit = call.params["limit"].as_u64().unwrap_or(DEFAULT_LIMIT);
    if limit > MAX_LIMIT {
        return WireError::invalid("invalid chat.history params: at /limit: must be <= 1000").into();
    }
    let (limit, offset) = (size(limit), size(call.params["offset"].as_u64().unwrap_or(0)));
    let session = call.state.sessions.get(&key);
    let rows = session.map_or(&[] as &[Value], |session| &session.rows);
    if let Some(cursor) = call.text("cursor") {
        return since(&key, session, cursor);
    }
    let anchor = call.text("messageId");
    let at = anchor.map(|id| rows.iter().position(|row| row["__openclaw"]["id"] == *id));
    let end = match at {
        None => rows.len().saturating_sub(offset),
        Some(Some(at)) => rows.len().min(at + limit.div_ceil(2)),
        Some(None) => return WireError::invalid("history anchor not found").into(),
    };
    let begin = end.saturating_sub(limit);
    let shown = |at: usize| shortened(profile, numbered(&rows[at], at));
    let messages: Vec<Value> = (begin..end).map(shown).collect();
    let mut payload = json!({"sessionKey": asked, "messages": messages});
    if let Some(session) = session {
        payload["sessionId"] = json!(session.id);
    }
    if !profile.v4() {
        payload["thinkingLevel"] = json!("off");
        return Answer::ok(payload);
    }
    payload["pendingInputs"] = json!({"items": [], "total": 0});
    if anchor.is_none() {
        payload["hasMore"] = json!(begin > 0);
        payload["totalMessages"] = json!(rows.len());
    }
    if let Some(session) = session.filter(|_| profile.history_cursors && offset == 0 && anchor.is_none()) {
        payload["deltaCursor"] = json!(cursor(session));
    }
    payload["defaults"] = json!({"modelProvider": "fake", "model": "fake-1"});
    payload["sessionInfo"] = json!({"key": key, "kind": "direct"});
    if begin > 0 && anchor.is_none() {
        payload["nextOffset"] = json!(offset + end - begin);
    }
    if let Some(run) = holder(call.state, &key) {
        payload["inFlightRun"] = json!({"runId": run.id, "text": run.text});
    }
    Answer::ok(payload)
}

fn numbered(row: &Value, at: usize) -> Value {
    let mut row = row.clone();
    if row.get("__openclaw").is_some() {
        row["__openclaw"]["seq"] = json!(at + 1);
    }
    row
}

/// A row with its texts cut as the release cuts them.
fn shortened(profile: &Profile, mut row: Value) -> Value {
    let Some((units, through_characters)) = profile.history_cut else {
        return row;
    };
    let shorten = |text: &mut Value| {
        let Some(long) = text.as_str().filter(|text| halves::length(text) > units) else {
            return;
        };
        let cut = if through_characters {
            halves::cut(long, units)
        } else {
            halves::cut_between(long, units)
        };
        *text = json!(format!("{cut}\n...(truncated)..."));
    };
    match row.get_mut("content") {
        Some(Value::Array(parts)) => parts
            .iter_mut()
            .filter_map(|part| part.get_mut("text"))
            .for_each(shorten),
        Some(text) => shorten(text),
        None => {}
    }
    row
}

/// Holds until the session is reset.
fn cursor(session: &Session) -> String {
    format!("{}.{}", session.revision, session.rows.len())
}

/// What was added since a cursor; nothing but a reset where it does not hold.
fn since(key: &str, session: Option<&Session>, cursor: &str) -> Answer {
    let held = session
        .zip(cursor.split_once('.'))
        .and_then(|(session, (revision, from))| {
            let from: usize = from.parse().ok()?;
            let added = session.rows.len().checked_sub(from)?;
            (revision == session.revision && added <= MOST_ADDED).then_some((session, from))
        });
    let Some((session, from)) = held else {
        return Answer::ok(json!({"kind": "reset"}));
    };
    let added = session.rows.iter().enumerate().skip(from).map(|(at, row)| {
        json!({
            "sessionKey": key, "sessionId": session.id, "message": numbered(row, at),
            "messageId": row["__openclaw"]["id"], "messageSeq": at + 1,
        })
    });
    Answer::ok(json!({
        "kind": "delta", "messages": added.collect::<Vec<_>>(), "deltaCursor": self::cursor(session),
        "sessionInfo": {"key": key, "kind": "direct", "sessionId": session.id},
    }))
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
