//! An agent's heartbeat, as the releases show it to those who watch their events.
//!
//! Nothing of it is in `chat` events where `showOk` is off, which is the releases' default for an agent that has nothing to say
//! (2026.3.13 and 2026.9.6 measured).

use serde_json::{Value, json};

use super::events::Event;
use super::server::Server;

/// How a heartbeat ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeartbeatEnd {
    /// The model answered `HEARTBEAT_OK`.
    Answered,
    /// The model was not asked: nothing has reached the agent over a channel yet, and its target is `last`. 2026.9.6; 2026.3.13
    /// asks the model all the same, which is not simulated.
    NoRoute,
    /// The run failed.
    Failed,
}

/// Shows a heartbeat of this agent.
pub(crate) fn run(server: &Server, agent: &str, end: HeartbeatEnd) {
    for event in events(server, agent, end) {
        server.emit(&event);
    }
}

fn events(server: &Server, agent: &str, end: HeartbeatEnd) -> Vec<Event> {
    if server.profile.heartbeat_monitors {
        by_monitor(server, agent, end)
    } else {
        by_run(server, agent, end)
    }
}

/// 2026.8.2 and 2026.9.6: a system-owned job runs, and no event of the run itself is sent.
fn by_monitor(server: &Server, agent: &str, end: HeartbeatEnd) -> Vec<Event> {
    let now = server.clock.wall_ms();
    let job = {
        let mut state = server.state();
        if state.monitors.iter().all(|job| job.agent != agent) {
            state.add_monitor(agent, now);
        }
        let monitor = state.monitors.iter().find(|job| job.agent == agent);
        monitor.map_or(Value::Null, super::state::Monitor::job)
    };
    let cron = |action: &str, more: Value| {
        let mut payload = json!({"jobId": job["id"], "action": action, "job": job, "runAtMs": now});
        if let (Value::Object(payload), Value::Object(more)) = (&mut payload, more) {
            payload.extend(more);
        }
        Event::new("cron", payload)
    };
    let (shown, finished) = match end {
        HeartbeatEnd::Answered => (
            json!({"ts": now, "status": "ok-empty", "reason": "interval", "indicatorType": "ok", "silent": true}),
            json!({"status": "ok", "completionStatus": "succeeded"}),
        ),
        HeartbeatEnd::NoRoute => (
            json!({"ts": now, "status": "skipped", "reason": "no-route"}),
            json!({"status": "skipped", "completionStatus": "failed", "error": "heartbeat skipped: no-route"}),
        ),
        HeartbeatEnd::Failed => (
            json!({"ts": now, "status": "failed", "reason": "model failed", "indicatorType": "error"}),
            json!({"status": "error", "completionStatus": "failed", "error": "model failed"}),
        ),
    };
    vec![
        cron("started", json!({})),
        Event::new("heartbeat", shown),
        cron("finished", finished),
    ]
}

/// Up to 2026.7: the run's `agent` events are sent, its `chat` events are not. 2026.5.12 sends neither.
fn by_run(server: &Server, agent: &str, end: HeartbeatEnd) -> Vec<Event> {
    let now = server.clock.wall_ms();
    let run = server.state().random.uuid();
    let key = format!("agent:{agent}:main");
    let step = |seq: u64, stream: &str, data: Value| {
        let payload = json!({"runId": run, "stream": stream, "data": data, "sessionKey": key, "seq": seq, "ts": now});
        Event::new("agent", payload)
    };
    let start = step(1, "lifecycle", json!({"phase": "start", "startedAt": now}));
    if end != HeartbeatEnd::Answered {
        let shown = json!({"ts": now, "status": "failed", "reason": "model failed", "indicatorType": "error"});
        let failed = step(
            2,
            "lifecycle",
            json!({"phase": "error", "error": "model failed", "endedAt": now}),
        );
        return vec![start, failed, Event::new("heartbeat", shown)];
    }
    let shown = json!({
        "ts": now, "status": "ok-token", "reason": "interval", "durationMs": 0, "silent": true, "indicatorType": "ok",
    });
    if let Some(session) = server.state().sessions.get_mut(&key) {
        session.updated_ms = now;
    }
    if !server.profile.heartbeat_runs_shown {
        return vec![Event::new("heartbeat", shown)];
    }
    vec![
        start,
        step(2, "assistant", json!({"text": "HEARTBEAT_OK", "delta": "HEARTBEAT_OK"})),
        step(3, "lifecycle", json!({"phase": "end", "endedAt": now})),
        Event::new("heartbeat", shown),
    ]
}
