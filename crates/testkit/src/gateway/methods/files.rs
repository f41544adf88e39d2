//! `agents.files.list`, `get`, `set`.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Call;
use crate::gateway::clock;
use crate::gateway::journal::SideEffect;
use crate::gateway::profile::Profile;
use crate::gateway::profile::at::R9_6;
use crate::gateway::roster::{self, Agent};
use crate::gateway::server::{Answer, Later};
use crate::gateway::state::File;
use crate::gateway::wire::WireError;

/// How long a write takes where concurrent ones collide (about 40 ms on 3.13; shorter keeps tests quick).
const WRITE_TIME: Duration = Duration::from_millis(5);

const ALL: [&str; 8] = [
    "AGENTS.md",
    "SOUL.md",
    "TOOLS.md",
    "IDENTITY.md",
    "USER.md",
    "HEARTBEAT.md",
    "BOOTSTRAP.md",
    "MEMORY.md",
];

fn settable(profile: &Profile, name: &str) -> bool {
    ALL.contains(&name) && !(profile.files_retired && matches!(name, "TOOLS.md" | "HEARTBEAT.md"))
}

/// IDENTITY.md can be set on 8.2 and 9.6 but is never listed there.
fn listed(profile: &Profile, name: &str) -> bool {
    settable(profile, name) && !(profile.files_retired && name == "IDENTITY.md")
}

fn agent(call: &Call<'_>) -> Result<Agent, WireError> {
    let id = call.required("agentId");
    let known = !super::agents::is_settling(call, &id);
    let found = roster::find(&call.server.profile, &call.state.config, &id).filter(|_| known);
    found.ok_or_else(|| {
        WireError::invalid(if call.server.profile.v4() {
            format!("agent \"{id}\" not found")
        } else {
            "unknown agent id".into()
        })
    })
}

fn row(call: &Call<'_>, agent: &Agent, name: &str, content: bool) -> Value {
    let profile = &call.server.profile;
    let mut row = json!({"name": name, "path": format!("{}/{name}", agent.workspace())});
    if let Some(file) = call.state.files.get(&(agent.id.clone(), name.to_owned())) {
        row["missing"] = json!(false);
        row["size"] = json!(file.content.len());
        row["updatedAtMs"] = json!(file.updated_ms);
        if content {
            row["content"] = json!(file.content);
            if profile.index >= R9_6 {
                row["hash"] = json!(hash(&file.content));
            }
        }
    } else {
        row["missing"] = json!(true);
        if profile.v4() {
            row["expectedAbsent"] = json!(name != "AGENTS.md");
        }
    }
    row
}

fn hash(content: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(content.as_bytes())
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let agent = match agent(call) {
        Ok(agent) => agent,
        Err(error) => return error.into(),
    };
    let names = ALL.iter().filter(|name| listed(&call.server.profile, name));
    let files: Vec<Value> = names.map(|name| row(call, &agent, name, false)).collect();
    Answer::ok(json!({"agentId": agent.id, "workspace": agent.workspace(), "files": files}))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let agent = match agent(call) {
        Ok(agent) => agent,
        Err(error) => return error.into(),
    };
    let name = call.required("name");
    if !settable(&call.server.profile, &name) {
        return unsupported(&name).into();
    }
    let file = row(call, &agent, &name, true);
    Answer::ok(json!({"agentId": agent.id, "workspace": agent.workspace(), "file": file}))
}

pub(super) fn set(call: &mut Call<'_>) -> Answer {
    let agent = match agent(call) {
        Ok(agent) => agent,
        Err(error) => return error.into(),
    };
    let name = call.required("name");
    if !settable(&call.server.profile, &name) {
        return unsupported(&name).into();
    }
    let place = (agent.id.clone(), name.clone());
    let old = call.state.files.get(&place).map(|file| hash(&file.content));
    if let Some(expected) = call.text("expectedHash")
        && old.as_deref() != Some(expected)
    {
        return WireError::invalid(format!("file \"{name}\" changed since it was read")).into();
    }
    let race = call.server.profile.file_race;
    if race
        && call
            .state
            .files_busy
            .get(&place)
            .is_some_and(|until| clock::now() < *until)
    {
        return WireError::invalid(format!("unsafe workspace file \"{name}\"")).into();
    }
    let file = File {
        content: call.required("content"),
        updated_ms: call.server.clock.wall_ms(),
    };
    call.state.files.insert(place.clone(), file);
    call.server.effect(SideEffect::FileWritten {
        agent_id: agent.id.clone(),
        name: name.clone(),
    });
    let file = row(call, &agent, &name, true);
    let answer = Answer::ok(json!({"ok": true, "agentId": agent.id, "workspace": agent.workspace(), "file": file}));
    if !race {
        return answer;
    }
    call.state.files_busy.insert(place, clock::now() + WRITE_TIME);
    answer.later(Later::After(WRITE_TIME))
}

fn unsupported(name: &str) -> WireError {
    WireError::invalid(format!("unsupported file \"{name}\""))
}
