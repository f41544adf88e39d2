//! Health, status, presence, models and restarts by request.

use std::time::Duration;

use serde_json::{Value, json};

use super::Call;
use crate::gateway::events::Event;
use crate::gateway::hello;
use crate::gateway::server::{Answer, Effect};
use crate::gateway::state::State;
use crate::gateway::wire::WireError;

/// From the request to the shutdown event (9.6).
const RESTART_DELAY: Duration = Duration::from_millis(600);

pub(super) fn health(call: &Call<'_>) -> Answer {
    Answer::ok(hello::health(call.server, call.state))
}

pub(super) fn status(call: &Call<'_>) -> Answer {
    Answer::ok(json!({
        "runtimeVersion": call.server.profile.release,
        "heartbeat": {"defaultAgentId": "main", "agents": []},
        "channelSummary": [],
        "queuedSystemEvents": [],
        "sessions": {"count": call.state.sessions.len(), "recent": []},
    }))
}

pub(super) fn presence(call: &Call<'_>) -> Answer {
    Answer::ok(hello::presence(call.server, call.state))
}

/// What a client says of itself stands in everybody's presence, and so in each hello from then on.
pub(super) fn system_event(call: &mut Call<'_>) -> Answer {
    /// Real gateways keep 200 entries.
    const MOST: usize = 200;
    let text = call.required("text");
    if text.is_empty() {
        return WireError::invalid("text required").into();
    }
    if call.state.said_of_itself.len() == MOST {
        call.state.said_of_itself.remove(0);
    }
    call.state.said_of_itself.push(text);
    call.state.presence_version += 1;
    let event = Event::new(
        "presence",
        json!({"presence": hello::presence(call.server, call.state)}),
    );
    Answer::ok(json!({"ok": true})).then(Effect::Emit(event))
}

pub(super) fn identity() -> Answer {
    // SHA-256 of 32 zero bytes, and the bytes: stands for a key that nothing is signed with.
    Answer::ok(json!({
        "deviceId": "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925",
        "publicKey": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    }))
}

pub(super) fn models() -> Answer {
    let model = |id: &str| {
        json!({
            "id": id, "name": id, "provider": "fake", "contextWindow": 128_000, "reasoning": false,
        })
    };
    Answer::ok(json!({"models": [model("fake-1"), model("fake-2")]}))
}

pub(super) fn preflight(state: &State) -> Value {
    let active = state.runs.values().filter(|run| run.active()).count();
    json!({
        "safe": active == 0,
        "counts": {
            "queueSize": 0, "pendingReplies": 0, "embeddedRuns": active, "cronRuns": 0, "backgroundExecSessions": 0,
            "rootRequests": 0, "activeTasks": 0, "totalActive": active,
        },
        "blockers": [],
        "summary": if active == 0 { "safe to restart now" } else { "restart deferred: active runs" },
    })
}

pub(super) fn restart(call: &Call<'_>) -> Answer {
    let reason = call.text("reason").unwrap_or("request");
    Answer::ok(json!({
        "ok": true,
        "status": "deferred",
        "preflight": preflight(call.state),
        "restart": {
            "ok": true, "pid": 4242, "signal": "SIGUSR2", "reason": reason, "mode": "emit", "cooldownMsApplied": 0,
            "delayMs": 0, "coalesced": false, "emitHooksQueued": false,
        },
    }))
    .then(Effect::RestartAfter(RESTART_DELAY))
}
