//! `config.get`, `config.schema`, `config.patch`.

use std::time::Duration;

use serde_json::{Value, json};

use super::Call;
use crate::gateway::clock;
use crate::gateway::config::{self, PATH};
use crate::gateway::events::Event;
use crate::gateway::halves;
use crate::gateway::journal::SideEffect;
use crate::gateway::profile::at::{R6_11, R9_6};
use crate::gateway::profile::{PatchEffect, Profile};
use crate::gateway::requests::soon;
use crate::gateway::roster;
use crate::gateway::server::{Answer, Effect, Later};
use crate::gateway::wire::WireError;

/// Writes are counted over this window.
const WINDOW: Duration = Duration::from_secs(60);

pub(super) fn get(call: &Call<'_>) -> Answer {
    let config = &call.state.config;
    let raw = serde_json::to_string_pretty(config).unwrap_or_default();
    Answer::ok(json!({
        "path": PATH,
        "exists": true,
        "raw": raw,
        "parsed": config::parsed(call.state),
        "resolved": config,
        "valid": true,
        "config": config,
        "hash": config::hash(&call.server.profile, call.state),
        "issues": [],
        "warnings": [],
        "legacyIssues": [],
    }))
}

pub(super) fn schema(call: &Call<'_>) -> Answer {
    let profile = &call.server.profile;
    Answer::ok(json!({
        "schema": config::schema(profile),
        "uiHints": {},
        "version": profile.release,
        "generatedAt": "2026-11-22T12:00:00.000Z",
    }))
}

/// Counts a write; the error says when the next one may come. Refused patches count too.
fn admit_write(call: &mut Call<'_>) -> Result<(), WireError> {
    let Some(limit) = call.server.profile.write_limit else {
        return Ok(());
    };
    let who = call.peer.device_id.clone().unwrap_or_else(|| "127.0.0.1".into());
    let now = clock::now();
    let writes = call.state.writes.entry(("config.patch".into(), who)).or_default();
    while writes
        .front()
        .is_some_and(|at| now.saturating_duration_since(*at) >= WINDOW)
    {
        writes.pop_front();
    }
    if writes.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
        writes.push_back(now);
        return Ok(());
    }
    let wait = writes
        .front()
        .map_or(WINDOW, |at| WINDOW.saturating_sub(now.saturating_duration_since(*at)));
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    Err(WireError::new(
        "UNAVAILABLE",
        format!(
            "rate limit exceeded for config.patch; retry after {}s",
            wait_ms.div_ceil(1000)
        ),
    )
    .retry_after_ms(wait_ms)
    .details(json!({"method": "config.patch", "limit": format!("{limit} per 60s")})))
}

pub(super) fn patch(call: &mut Call<'_>) -> Answer {
    match try_patch(call) {
        Ok(answer) => answer,
        Err(error) => error.into(),
    }
}

fn try_patch(call: &mut Call<'_>) -> Result<Answer, WireError> {
    admit_write(call)?;
    let profile = call.server.profile.clone();
    let patch = parse(call)?;
    let mut next = call.state.config.clone();
    let mut changed = Vec::new();
    for path in call.params["replacePaths"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if let Some(old) = next.pointer_mut(&format!("/{}", path.replace('.', "/"))) {
            *old = Value::Null;
        }
    }
    config::merge(&profile, &mut next, &patch, "", &mut changed);
    if let Some(section) = &call.state.included
        && profile.includes_kept
        && changed.iter().any(|path| is_in(path, section))
        && changed.iter().any(|path| !is_in(path, section))
    {
        return Err(config::include_owned(section));
    }
    if let Some(issue) = config::validate(&profile, &next) {
        let place = if issue.path.is_empty() { "<root>" } else { &issue.path };
        return Err(
            WireError::invalid(format!("invalid config: {place}: {}", issue.message))
                .details(json!({"issues": [{"path": issue.path, "message": issue.message}]})),
        );
    }
    let token = patch
        .pointer("/gateway/auth/token")
        .and_then(Value::as_str)
        .map(str::to_owned);
    call.state.config = next;
    if token.is_some()
        && let Some(shown) = call.state.config.pointer_mut("/gateway/auth/token")
    {
        *shown = json!("__OPENCLAW_REDACTED__");
    }
    if changed.is_empty() && profile.v4() {
        return Ok(Answer::ok(payload(call, &profile, &changed, false)));
    }
    if let Some(token) = token {
        call.state.token = Some(token);
    }
    call.server.effect(SideEffect::ConfigWritten { paths: changed.clone() });
    let restart = profile.patch == PatchEffect::Hot && needs_restart(&changed);
    let answer = Answer::ok(Value::Null);
    let mut answer = config::written(call, answer);
    answer.result = Ok(payload(call, &profile, &changed, restart));
    let answer = heartbeats(call, &profile, &changed, answer);
    Ok(consequences(call, &profile, &changed, restart, answer))
}

/// Whether a dotted path leads into a section.
fn is_in(path: &str, section: &str) -> bool {
    path.split('.').next() == Some(section)
}

fn parse(call: &Call<'_>) -> Result<Value, WireError> {
    let patch = halves::read(call.text("raw").unwrap_or_default())
        .map_err(|_| WireError::invalid("SyntaxError: JSON5: invalid input"))?;
    if !patch.is_object() {
        return Err(WireError::invalid("config.patch raw must be an object"));
    }
    match call.text("baseHash") {
        None => Err(WireError::invalid(
            "config base hash required; re-run config.get and retry with baseHash",
        )),
        Some(base) if base != config::hash(&call.server.profile, call.state) => Err(WireError::invalid(
            "config changed since last load; re-run config.get and retry",
        )),
        Some(_) => Ok(patch),
    }
}

/// `gateway` and `discovery` need a restart, apart from what only closes the sockets.
fn needs_restart(changed: &[String]) -> bool {
    changed.iter().any(|path| {
        let closes_only = path.starts_with("gateway.auth") || path.starts_with("gateway.trustedProxies");
        !closes_only && (path.starts_with("gateway") || path.starts_with("discovery"))
    })
}

fn restart_delay(call: &Call<'_>) -> Duration {
    /// Unless the caller asks for something else.
    const DEFAULT_MS: u64 = 2000;
    if let Some(delay) = call.server.options.restart_delay {
        return delay;
    }
    Duration::from_millis(call.params["restartDelayMs"].as_u64().unwrap_or(DEFAULT_MS))
}

fn payload(call: &Call<'_>, profile: &Profile, changed: &[String], restart: bool) -> Value {
    let mut stats = json!({"mode": "config.patch", "root": PATH});
    if profile.index >= R6_11 {
        stats["requiresRestart"] = json!(restart);
    }
    let mut payload = json!({
        "ok": true,
        "path": PATH,
        "config": call.state.config,
        "sentinel": {"payload": {"kind": "config-patch", "status": "ok", "ts": call.server.clock.wall_ms(),
            "message": call.params["note"], "stats": stats}},
    });
    if profile.patch != PatchEffect::Hot {
        payload["restart"] = json!({
            "ok": true, "pid": 4242, "signal": "SIGUSR1", "reason": "config.patch", "mode": "emit",
            "delayMs": u64::try_from(restart_delay(call).as_millis()).unwrap_or(u64::MAX),
            "coalesced": false, "cooldownMsApplied": 0,
        });
    }
    if profile.config_events {
        payload["hash"] = json!(config::hash(profile, call.state));
    }
    if profile.index >= R9_6 {
        payload["changedPaths"] = json!(changed);
        if changed.is_empty() {
            payload["noop"] = json!(true);
        }
    }
    payload
}

/// Monitors follow the heartbeat blocks of the roster: an agent with one has its monitor enabled, and once any
/// agent has one the monitors of those without go (9.6).
fn heartbeats(call: &mut Call<'_>, profile: &Profile, changed: &[String], mut answer: Answer) -> Answer {
    if !profile.heartbeat_monitors || !changed.iter().any(|path| path.contains("heartbeat")) {
        return answer;
    }
    let agents = roster::agents(profile, &call.state.config);
    let with: Vec<&str> = agents
        .iter()
        .filter(|agent| agent.entry.contains_key("heartbeat"))
        .map(|agent| agent.id.as_str())
        .collect();
    let now_ms = call.server.clock.wall_ms();
    for agent in agents.iter().filter(|agent| with.contains(&agent.id.as_str())) {
        let every = agent.entry["heartbeat"]["every"]
            .as_str()
            .and_then(minutes)
            .unwrap_or(30);
        if call.state.monitors.iter().all(|job| job.agent != agent.id) {
            call.state.add_monitor(&agent.id, now_ms);
        }
        let Some(job) = call.state.monitors.iter_mut().find(|job| job.agent == agent.id) else {
            continue;
        };
        job.enabled = every > 0;
        job.every_ms = if every > 0 { every * 60_000 } else { job.every_ms };
        job.updated_ms = now_ms;
        let shown = job.job();
        answer = answer.then(soon(Event::new(
            "cron",
            json!({"jobId": job.id, "action": "updated", "job": shown}),
        )));
    }
    if with.is_empty() {
        return answer;
    }
    let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut call.state.monitors)
        .into_iter()
        .partition(|job| with.contains(&job.agent.as_str()));
    call.state.monitors = kept;
    for job in gone {
        answer = answer.then(soon(Event::new("cron", json!({"jobId": job.id, "action": "removed"}))));
    }
    answer
}

fn minutes(every: &str) -> Option<u64> {
    every.strip_suffix('m')?.parse().ok()
}

fn consequences(call: &Call<'_>, profile: &Profile, changed: &[String], restart: bool, answer: Answer) -> Answer {
    /// From a config write to the close of the sockets (9.6).
    const CLOSES: Duration = Duration::from_millis(500);
    /// From a config write to the restart that it needs (9.6).
    const RESTARTS: Duration = Duration::from_millis(1350);
    /// The file watcher of 1.30 restarts on its own.
    const WATCHER: Duration = Duration::from_millis(530);
    let in_channels = changed.iter().any(|path| path.starts_with("channels"));
    match profile.patch {
        // Gone before the answer, which never comes.
        PatchEffect::Hot if profile.channel_patch_restarts && in_channels => answer
            .then(Effect::RestartAfter(Duration::ZERO))
            .later(Later::After(CLOSES)),
        PatchEffect::RestartsTwice => answer
            .then(Effect::RestartAfter(WATCHER))
            .then(Effect::RestartAfter(restart_delay(call))),
        PatchEffect::Restarts => {
            let delay = restart_delay(call) + call.server.options.restart_put_off;
            answer.then(Effect::RestartAfter(delay))
        }
        PatchEffect::Hot if restart => answer.then(Effect::RestartAfter(RESTARTS)),
        PatchEffect::Hot if changed.iter().any(|path| path.starts_with("gateway.auth")) => {
            answer.then(Effect::CloseAll {
                after: CLOSES,
                code: 4001,
                reason: "gateway auth changed",
            })
        }
        PatchEffect::Hot if changed.iter().any(|path| path.starts_with("gateway.trustedProxies")) => {
            answer.then(Effect::CloseAll {
                after: CLOSES,
                code: 4001,
                reason: "gateway policy changed",
            })
        }
        PatchEffect::Hot => answer,
    }
}
