//! `agent.wait` and the second answer of `agent`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Run, Status};
use crate::gateway::methods::Call;
use crate::gateway::profile::Profile;
use crate::gateway::server::{Answer, Later, Server};
use crate::gateway::wire::{self, WireError};

/// Unless the caller says otherwise.
const DEFAULT_WAIT_MS: u64 = 30_000;

pub(crate) fn agent_wait(call: &Call<'_>) -> Answer {
    let timeout = Duration::from_millis(call.params["timeoutMs"].as_u64().unwrap_or(DEFAULT_WAIT_MS));
    Answer::ok(Value::Null).later(Later::Wait {
        run: call.required("runId"),
        timeout,
    })
}

/// Waits for the end of a run; an unknown one is waited for all the same, and times out.
pub(crate) async fn wait(server: &Server, run: &str, timeout: Duration) -> Value {
    let over = server.state().runs.get(run).map(|run| run.over.subscribe());
    let ended = async {
        // An error means that the run was forgotten while we waited, so it will not end any more.
        if let Some(mut over) = over
            && over.wait_for(|over| *over).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    };
    if tokio::time::timeout(timeout, ended).await.is_err() {
        return json!({"runId": run, "status": "timeout"});
    }
    match server.state().runs.get(run) {
        Some(run) => report(&server.profile, run),
        None => json!({"runId": run, "status": "timeout"}),
    }
}

/// Up to 5.12 failed and aborted runs report `ok`.
fn report(profile: &Profile, run: &Run) -> Value {
    let ended = run.ended.map(|(_, ms)| ms);
    let honest = profile.honest_wait;
    match &run.status {
        Status::Failed(error) if honest => {
            json!({"runId": run.id, "status": "error", "endedAt": ended, "error": error})
        }
        Status::Aborted(stop) if honest => {
            json!({"runId": run.id, "status": "error", "endedAt": ended, "error": "aborted", "stopReason": stop})
        }
        Status::Running => json!({"runId": run.id, "status": "timeout"}),
        _ => json!({"runId": run.id, "status": "ok", "endedAt": ended}),
    }
}

/// The payload of the second answer.
pub(super) fn final_payload(profile: &Profile, run: &Run) -> Value {
    match &run.status {
        Status::Failed(error) if profile.v4() => json!({"runId": run.id, "status": "error", "summary": error}),
        _ => json!({
            "runId": run.id,
            "status": "ok",
            "summary": "completed",
            "result": {"payloads": [{"text": run.text, "mediaUrl": null}], "meta": {"durationMs": 1}},
        }),
    }
}

/// The second answer as a frame, when the run is over.
pub(crate) async fn agent_final(server: &Server, run: &str, id: &Value) -> String {
    let over = server.state().runs.get(run).map(|run| run.over.subscribe());
    if let Some(mut over) = over {
        // An error means that the run was forgotten; the answer below says so.
        let _ = over.wait_for(|over| *over).await;
    }
    let state = server.state();
    let Some(run) = state.runs.get(run) else {
        return wire::response(id, &Err(WireError::new("UNAVAILABLE", "run is gone")));
    };
    let payload = final_payload(&server.profile, run);
    match &run.status {
        Status::Failed(error) if server.profile.v4() => {
            wire::failed_with_payload(id, &WireError::new("UNAVAILABLE", error.clone()), &payload)
        }
        _ => wire::response(id, &Ok(payload)),
    }
}
