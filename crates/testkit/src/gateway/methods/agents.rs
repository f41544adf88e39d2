//! `agents.list`, `create`, `update`, `delete`.

use serde_json::{Map, Value, json};

use super::Call;
use super::sessions::agent_of;
use crate::gateway::events::Event;
use crate::gateway::journal::SideEffect;
use crate::gateway::requests::soon;
use crate::gateway::roster::{self, Agent};
use crate::gateway::server::Answer;
use crate::gateway::state::File;
use crate::gateway::wire::WireError;
use crate::gateway::{clock, config};

pub(super) fn list(call: &Call<'_>) -> Answer {
    let profile = &call.server.profile;
    let agents = roster::agents(profile, &call.state.config);
    let mut payload = json!({
        "defaultId": roster::default_id(profile, &call.state.config),
        "mainKey": "main",
        "scope": "per-sender",
        "agents": agents.iter().map(|agent| row(call, agent)).collect::<Vec<_>>(),
    });
    if profile.roster_map {
        let explicit = call.state.config.pointer("/agents/ownership").is_some();
        payload["ownership"] = json!(if explicit { "explicit" } else { "sole" });
        payload["selectionRequired"] = json!(agents.iter().all(|agent| agent.id != "main"));
    }
    Answer::ok(payload)
}

/// Up to 3.13 only `id` and `name`.
fn row(call: &Call<'_>, agent: &Agent) -> Value {
    let mut row = json!({"id": agent.id});
    if let Some(name) = agent.text("name") {
        row["name"] = json!(name);
    }
    if call.server.profile.create_model {
        row["workspace"] = json!(agent.workspace());
        row["model"] = json!({"primary": agent.model().unwrap_or("fake/fake-1")});
        if let Some(identity) = agent.entry.get("identity") {
            row["identity"] = identity.clone();
        }
    }
    row
}

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let profile = &call.server.profile;
    let name = call.required("name");
    let id = roster::slug(&name);
    if profile.create_needs_workspace && call.text("workspace").is_none() {
        return WireError::invalid("invalid agents.create params: must have required property 'workspace'").into();
    }
    if id == "main" && !profile.v4() {
        return WireError::invalid("\"main\" is reserved").into();
    }
    if id.is_empty() || roster::find(profile, &call.state.config, &id).is_some() {
        return WireError::invalid(format!("agent \"{id}\" already exists")).into();
    }
    let (entry, payload) = new_entry(call, &id, &name);
    roster::put(profile, &mut call.state.config, &id, entry);
    let now_ms = call.server.clock.wall_ms();
    let emoji = call.text("emoji").unwrap_or_default();
    let identity = File {
        content: format!("\n- Name: {name}\n- Emoji: {emoji}\n"),
        updated_ms: now_ms,
    };
    call.state.files.insert((id.clone(), "IDENTITY.md".into()), identity);
    call.state
        .settling
        .insert(id.clone(), clock::now() + call.server.options.create_settles_after);
    call.server.effect(SideEffect::AgentCreated { agent_id: id.clone() });
    let answer = config::written(call, Answer::ok(payload));
    if !profile.heartbeat_monitors {
        return answer;
    }
    let job = call.state.add_monitor(&id, now_ms);
    answer.then(soon(Event::new(
        "cron",
        json!({"jobId": job["id"], "action": "added", "job": job}),
    )))
}

fn new_entry(call: &Call<'_>, id: &str, name: &str) -> (Map<String, Value>, Value) {
    let agent = Agent {
        id: id.to_owned(),
        entry: Map::new(),
    };
    let workspace = call.text("workspace").map_or_else(|| agent.workspace(), str::to_owned);
    let mut entry = Map::new();
    entry.insert("name".into(), json!(name));
    entry.insert("workspace".into(), json!(workspace));
    let mut payload = json!({"ok": true, "agentId": id, "name": name, "workspace": workspace});
    if let Some(model) = call.text("model") {
        entry.insert("model".into(), json!(model));
        payload["model"] = json!(model);
    }
    if call.server.profile.create_model {
        let mut identity = json!({"name": name});
        if let Some(emoji) = call.text("emoji").filter(|emoji| !emoji.is_empty()) {
            identity["emoji"] = json!(emoji);
        }
        entry.insert("identity".into(), identity);
    }
    (entry, payload)
}

pub(super) fn update(call: &mut Call<'_>) -> Answer {
    let profile = &call.server.profile;
    let id = call.required("agentId");
    let known = !is_settling(call, &id);
    let Some(mut agent) = roster::find(profile, &call.state.config, &id).filter(|_| known) else {
        return not_found(&id).into();
    };
    for key in ["name", "workspace", "model"] {
        if let Some(value) = call.text(key) {
            agent.entry.insert(key.into(), json!(value));
        }
    }
    if let Some(emoji) = call.text("emoji") {
        let identity = agent.entry.entry("identity").or_insert_with(|| json!({}));
        identity["emoji"] = json!(emoji);
    }
    roster::put(profile, &mut call.state.config, &id, agent.entry);
    call.server.effect(SideEffect::AgentUpdated { agent_id: id.clone() });
    config::written(call, Answer::ok(json!({"ok": true, "agentId": id})))
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let profile = &call.server.profile;
    let id = call.required("agentId");
    if id == "main" && !profile.v4() {
        return WireError::invalid("\"main\" cannot be deleted").into();
    }
    let agents = roster::agents(profile, &call.state.config);
    if agents.iter().all(|agent| agent.id != id) || is_settling(call, &id) {
        return not_found(&id).into();
    }
    if agents.len() == 1 {
        return WireError::invalid(format!("agent \"{id}\" is the last one")).into();
    }
    if profile.includes_kept && call.state.included.as_deref() == Some("agents") {
        return config::include_owned("agents").into();
    }
    roster::remove(profile, &mut call.state.config, &id);
    call.state.files.retain(|(agent, _), _| *agent != id);
    if profile.sessions_go_with_agent {
        call.state.sessions.retain(|key, _| agent_of(key) != id);
    }
    call.server.effect(SideEffect::AgentDeleted { agent_id: id.clone() });
    let mut payload = json!({"ok": true, "agentId": id, "removedBindings": 0});
    if profile.roster_map {
        payload["removed"] = json!([]);
        payload["failed"] = json!([]);
    }
    let mut answer = config::written(call, Answer::ok(payload));
    let gone: Vec<String> = call
        .state
        .monitors
        .iter()
        .filter(|job| job.agent == id)
        .map(|job| job.id.clone())
        .collect();
    call.state.monitors.retain(|job| job.agent != id);
    for job_id in gone {
        answer = answer.then(soon(Event::new("cron", json!({"jobId": job_id, "action": "removed"}))));
    }
    answer
}

/// Whether the agent was made a moment ago, so that the gateway has not heard of it yet.
pub(super) fn is_settling(call: &Call<'_>, id: &str) -> bool {
    call.state.settling.get(id).is_some_and(|until| clock::now() < *until)
}

fn not_found(id: &str) -> WireError {
    WireError::invalid(format!("agent \"{id}\" not found"))
}
