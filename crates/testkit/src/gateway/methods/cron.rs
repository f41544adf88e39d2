//! `cron.list` and the heartbeat scratch.

use serde_json::{Value, json};

use super::Call;
use crate::gateway::journal::SideEffect;
use crate::gateway::server::Answer;
use crate::gateway::state::Monitor;
use crate::gateway::wire::WireError;

/// Most characters that a scratch takes (8.2, 9.6).
const MAX_SCRATCH: usize = 262_144;

pub(super) fn list(call: &Call<'_>) -> Answer {
    let disabled = call.params["includeDisabled"].as_bool().unwrap_or(false);
    let agent = call.text("agentId");
    let jobs: Vec<Value> = call
        .state
        .monitors
        .iter()
        .filter(|job| (job.enabled || disabled) && agent.is_none_or(|agent| agent == job.agent))
        .map(Monitor::job)
        .collect();
    let total = jobs.len();
    let mut payload = json!({"jobs": jobs});
    if call.server.profile.v4() {
        payload["total"] = json!(total);
        payload["offset"] = json!(0);
        payload["limit"] = json!(50);
        payload["hasMore"] = json!(false);
        payload["nextOffset"] = Value::Null;
    }
    Answer::ok(payload)
}

fn job_id(call: &Call<'_>) -> String {
    call.text("id")
        .or_else(|| call.text("jobId"))
        .unwrap_or_default()
        .to_owned()
}

fn not_found(id: &str) -> Answer {
    WireError::invalid(format!("cron job not found: {id}"))
        .details(json!({"code": "CRON_JOB_NOT_FOUND", "jobId": id}))
        .into()
}

fn scratch(job: &Monitor) -> Value {
    let scratch = job
        .scratch
        .as_ref()
        .map(|(content, updated_ms)| json!({"content": content, "revision": job.revision, "updatedAtMs": updated_ms}));
    json!({"scratch": scratch, "currentRevision": job.revision, "maxBytes": MAX_SCRATCH})
}

pub(super) fn scratch_get(call: &Call<'_>) -> Answer {
    let id = job_id(call);
    match call.state.monitors.iter().find(|job| job.id == id) {
        Some(job) => Answer::ok(scratch(job)),
        None => not_found(&id),
    }
}

pub(super) fn scratch_set(call: &mut Call<'_>) -> Answer {
    let id = job_id(call);
    let now_ms = call.server.clock.wall_ms();
    let content = call.text("content").map(str::to_owned);
    let expected = call.params["expectedRevision"].as_u64();
    if content
        .as_ref()
        .is_some_and(|content| content.chars().count() > MAX_SCRATCH)
    {
        let message = format!("invalid cron.scratch.set params: at /content: more than {MAX_SCRATCH} characters");
        return WireError::invalid(message).into();
    }
    let Some(job) = call.state.monitors.iter_mut().find(|job| job.id == id) else {
        return not_found(&id);
    };
    if expected.is_some_and(|expected| expected != job.revision) {
        // A conflict is an answered request, not an error.
        return Answer::ok(json!({"ok": false, "reason": "revision-conflict", "currentRevision": job.revision}));
    }
    job.revision += 1;
    job.scratch = content.map(|content| (content, now_ms));
    let mut payload = scratch(job);
    payload["ok"] = json!(true);
    call.server.effect(SideEffect::ScratchWritten { job_id: id });
    Answer::ok(payload)
}
