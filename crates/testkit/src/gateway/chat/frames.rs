//! Payloads of `chat` and `agent` events in the shape of the release.

use serde_json::{Value, json};

use super::Run;
use crate::gateway::methods::sessions::agent_of;
use crate::gateway::profile::Profile;

fn chat(profile: &Profile, run: &Run, state: &str) -> Value {
    let mut payload = json!({"runId": run.id, "sessionKey": run.shown_as, "seq": run.seq, "state": state});
    if profile.chat_agent_id {
        payload["agentId"] = json!(agent_of(&run.session));
    }
    payload
}

pub(super) fn message(text: &str, now_ms: u64) -> Value {
    json!({"role": "assistant", "content": [{"type": "text", "text": text}], "timestamp": now_ms})
}

/// Cumulative in both generations; the increment only from 5.12 on.
pub(super) fn delta(profile: &Profile, run: &Run, increment: &str, now_ms: u64) -> Value {
    let mut payload = chat(profile, run, "delta");
    payload["message"] = message(&run.text, now_ms);
    if profile.delta_text {
        payload["deltaText"] = json!(increment);
    }
    payload
}

pub(super) fn whole_final(profile: &Profile, run: &Run, now_ms: u64) -> Value {
    let mut payload = chat(profile, run, "final");
    payload["message"] = message(&run.text, now_ms);
    if profile.stop_reason {
        payload["stopReason"] = json!(if run.plan.tool { "toolUse" } else { "stop" });
    }
    payload
}

/// "Handed on": the text was merged, put back, or (1.30) its model call failed.
pub(super) fn bare_final(profile: &Profile, run: &mut Run) -> Value {
    run.seq += 1;
    chat(profile, run, "final")
}

/// The run ended and its model had said nothing.
pub(super) fn silent_final(profile: &Profile, run: &mut Run) -> Value {
    let mut payload = bare_final(profile, run);
    if profile.stop_reason {
        payload["stopReason"] = json!("stop");
    }
    payload
}

pub(super) fn aborted(profile: &Profile, run: &mut Run, stop: &str, now_ms: u64) -> Value {
    run.seq += 1;
    let mut payload = chat(profile, run, "aborted");
    payload["stopReason"] = json!(stop);
    payload["message"] = message(&run.text, now_ms);
    payload
}

pub(super) fn error(profile: &Profile, run: &mut Run, text: &str) -> Value {
    run.seq += 1;
    let mut payload = chat(profile, run, "error");
    payload["errorMessage"] = json!(text);
    payload
}

pub(super) fn status(profile: &Profile, run: &Run, phase: &str) -> Value {
    let mut payload = chat(profile, run, "status");
    payload["phase"] = json!(phase);
    payload
}

/// An `agent` event; each takes the next number of its run.
pub(super) fn agent(profile: &Profile, run: &mut Run, stream: &str, data: &Value, now_ms: u64) -> Value {
    run.seq += 1;
    let mut payload = json!({
        "runId": run.id, "stream": stream, "data": data, "sessionKey": run.shown_as, "seq": run.seq, "ts": now_ms,
    });
    if profile.chat_agent_id {
        payload["agentId"] = json!(agent_of(&run.session));
    }
    if profile.chat_status {
        payload["isHeartbeat"] = json!(false);
        if matches!(stream, "lifecycle" | "tool") {
            payload["sessionId"] = json!(run.session_id);
        }
    }
    payload
}
