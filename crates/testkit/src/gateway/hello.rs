//! The payload of `hello-ok`, and the views that it shares with `health` and `system-presence`.

use serde_json::{Value, json};

use super::clock;
use super::handshake::Admission;
use super::methods::table;
use super::profile::{HelloAuth, Profile};
use super::roster;
use super::server::Server;
use super::spelling::Spelling;
use super::state::State;

/// `policy.attachments.maxBytes` of 2026.9.6.
const ATTACHMENT_BYTES: u64 = 19_464_192;

/// The build that a control UI must match.
pub(crate) fn build_id(profile: &Profile) -> String {
    format!("{}-release-simulated", profile.release)
}

pub(crate) fn payload(server: &Server, state: &mut State, admission: &Admission) -> Value {
    let profile = &server.profile;
    let mut server_part = json!({"version": profile.server_version, "connId": state.random.uuid()});
    if profile.boot_id {
        server_part["bootId"] = json!(state.boot_id);
        server_part["buildId"] = json!(build_id(profile));
    }
    let mut features = json!({"methods": table::advertised(profile, &server.options), "events": events(profile)});
    if !profile.capabilities.is_empty() {
        features["capabilities"] = json!(profile.capabilities);
    }
    let mut hello = json!({
        "type": "hello-ok",
        "protocol": profile.generation.number(),
        "server": server_part,
        "features": features,
        "snapshot": snapshot(server, state),
        "policy": policy(server),
    });
    if let Some(auth) = auth(profile, admission) {
        hello["auth"] = auth;
    }
    hello
}

fn policy(server: &Server) -> Value {
    let profile = &server.profile;
    let mut policy = json!({
        "maxPayload": profile.max_payload,
        "maxBufferedBytes": profile.max_buffered_bytes,
        "tickIntervalMs": u64::try_from(server.options.tick_interval.as_millis()).unwrap_or(u64::MAX),
    });
    if profile.challenge_capabilities {
        policy["attachments"] = json!({"maxBytes": ATTACHMENT_BYTES, "maxImageBytes": 6_291_456});
    }
    policy
}

fn auth(profile: &Profile, admission: &Admission) -> Option<Value> {
    if profile.hello_auth == HelloAuth::WithDeviceTokenOnly && admission.device_token.is_none() {
        return None;
    }
    let mut auth = json!({"role": admission.peer.role, "scopes": admission.peer.scopes});
    if let Some((token, issued_ms)) = &admission.device_token {
        auth["deviceToken"] = json!(token);
        auth["issuedAtMs"] = json!(issued_ms);
    }
    if profile.hello_auth >= HelloAuth::RecoveryScope {
        auth["recoveryScope"] = json!("simulated-recovery-scope");
    }
    if profile.hello_auth >= HelloAuth::Method {
        auth["method"] = json!(admission.method);
    }
    Some(auth)
}

fn snapshot(server: &Server, state: &State) -> Value {
    let profile = &server.profile;
    let default_agent = roster::default_id(profile, &state.config);
    let spelling = Spelling::new(profile, &state.config);
    let uptime = clock::now().saturating_duration_since(state.booted).as_millis();
    let mut snapshot = json!({
        "presence": presence(server, state),
        "health": health(server, state),
        "stateVersion": {"presence": state.presence_version, "health": state.health_version},
        "uptimeMs": u64::try_from(uptime).unwrap_or(u64::MAX),
        "configPath": "/srv/gateway/openclaw.json",
        "stateDir": "/srv/gateway",
        "sessionDefaults": {
            "defaultAgentId": default_agent,
            "mainKey": spelling.main_key(),
            "mainSessionKey": spelling.main_session(),
            "scope": if spelling.is_global() { "global" } else { "per-sender" },
        },
        "authMode": match (&server.options.password, &state.token) {
            (Some(_), _) => "password",
            (None, Some(_)) => "token",
            (None, None) => "none",
        },
    });
    if profile.v4() {
        snapshot["suspension"] = json!({"phase": "accepting"});
        snapshot["appliedConfigHash"] = json!(super::config::hash(profile, state));
        snapshot["updateSchedule"] = json!({"channel": "stable", "autoEnabled": false});
    }
    snapshot
}

/// The answer of `health`, the payload of its event, and a part of the snapshot.
pub(crate) fn health(server: &Server, state: &State) -> Value {
    let sessions = json!({"path": "/srv/gateway/sessions", "count": state.sessions.len(), "recent": []});
    let default_agent = roster::default_id(&server.profile, &state.config);
    let agents: Vec<Value> = roster::agents(&server.profile, &state.config)
        .iter()
        .map(|agent| {
            json!({
                "agentId": agent.id,
                "isDefault": agent.id == default_agent,
                "heartbeat": {
                    "enabled": false, "every": "disabled", "everyMs": null, "prompt": "", "target": "none",
                    "ackMaxChars": 300,
                },
                "sessions": {"path": format!("/srv/gateway/agents/{}", agent.id), "count": 0, "recent": []},
            })
        })
        .collect();
    json!({
        "ok": true,
        "ts": server.clock.wall_ms(),
        "durationMs": 1,
        "channels": {},
        "channelOrder": [],
        "channelLabels": {},
        "heartbeatSeconds": 0,
        "defaultAgentId": default_agent,
        "agents": agents,
        "sessions": sessions,
    })
}

/// The gateway itself, then whoever is connected.
pub(crate) fn presence(server: &Server, state: &State) -> Value {
    let ts = server.clock.wall_ms();
    let mut entries = vec![json!({
        "host": "gateway-host",
        "ip": "192.0.2.2",
        "version": server.profile.release,
        "platform": "linux",
        "deviceFamily": "Linux",
        "mode": "gateway",
        "reason": "self",
        "text": format!("Gateway: gateway-host (192.0.2.2) app {}", server.profile.release),
        "ts": ts,
    })];
    let said = |text: &String| json!({"text": text, "reason": "self", "ts": ts});
    entries.extend(state.said_of_itself.iter().map(said));
    entries.extend(state.conns.values().filter_map(|conn| conn.peer.as_ref()).map(|peer| {
        let mut entry = json!({
            "host": peer.client_id,
            "version": peer.version,
            "platform": peer.platform,
            "mode": peer.mode,
            "reason": "connect",
            "roles": [peer.role],
            "scopes": peer.scopes,
            "text": format!("Node: {}", peer.client_id),
            "ts": ts,
        });
        if let Some(device_id) = &peer.device_id {
            entry["deviceId"] = json!(device_id);
        }
        entry
    }));
    Value::Array(entries)
}

/// Advertised events: the common ones, then what came with which release.
fn events(profile: &Profile) -> Vec<&'static str> {
    const COMMON: [&str; 18] = [
        "connect.challenge",
        "agent",
        "chat",
        "presence",
        "tick",
        "talk.mode",
        "shutdown",
        "health",
        "heartbeat",
        "cron",
        "node.pair.requested",
        "node.pair.resolved",
        "node.invoke.request",
        "device.pair.requested",
        "device.pair.resolved",
        "voicewake.changed",
        "exec.approval.requested",
        "exec.approval.resolved",
    ];
    use super::profile::at;
    let mut names = COMMON.to_vec();
    let later: [(usize, &[&str]); 5] = [
        (at::R2_26, &["update.available"]),
        (at::R4_15, &["session.message", "session.tool", "sessions.changed"]),
        (at::R7_1, &["task"]),
        (
            at::R8_2,
            &[
                "chat.metadata.changed",
                "skills.changed",
                "question.requested",
                "question.resolved",
            ],
        ),
        (
            at::R9_6,
            &["device.pair.changed", "plugins.changed", "gateway.suspension"],
        ),
    ];
    for (from, more) in later {
        if profile.index >= from {
            names.extend_from_slice(more);
        }
    }
    names
}
