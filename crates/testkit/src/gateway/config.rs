//! The configuration: its schema, merge patches, and what a write sets off.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::events::Event;
use super::methods::Call;
use super::profile::Profile;
use super::requests::soon;
use super::server::Answer;
use super::state::State;
use super::wire::WireError;

/// Where the configuration lies on the simulated host.
pub(crate) const PATH: &str = "/srv/gateway/openclaw.json";

/// The hash that a patch must name as its base: hex up to 7.1, with a prefix from 8.2 on.
pub(crate) fn hash(profile: &Profile, state: &State) -> String {
    use std::fmt::Write as _;
    let text = format!("{}#{}", state.config, state.config_revision);
    let hex = Sha256::digest(text.as_bytes())
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
    if profile.config_events {
        format!("hmac-sha256:v1:{}", &hex[..43])
    } else {
        hex
    }
}

/// The configuration as its main file has it: an included section is a reference.
pub(crate) fn parsed(state: &State) -> Value {
    let mut parsed = state.config.clone();
    if let Some(section) = &state.included {
        parsed[section] = json!({"$include": format!("./{section}.json5")});
    }
    parsed
}

/// The refusal of a write that would have to take an included section into the main file (9.6).
pub(crate) fn include_owned(section: &str) -> WireError {
    let message = format!(
        "Error: Config write would flatten $include-owned config at {section}; edit that include file directly or remove the \
         $include first.: code=CONFIG_INCLUDE_OWNERSHIP"
    );
    WireError::new("UNAVAILABLE", message)
}

/// Marks the configuration as changed and adds the events that follow.
pub(crate) fn written(call: &mut Call<'_>, answer: Answer) -> Answer {
    call.state.config_revision += 1;
    let profile = &call.server.profile;
    if !profile.includes_kept {
        call.state.included = None;
    }
    if !profile.config_events {
        return answer;
    }
    let payload = json!({"path": PATH, "hash": hash(profile, call.state), "ts": call.server.clock.wall_ms()});
    answer.then(soon(Event::new("config.changed", payload)))
}

/// Applies a merge patch and lists the dotted paths that changed.
pub(crate) fn merge(profile: &Profile, target: &mut Value, update: &Value, path: &str, changed: &mut Vec<String>) {
    let Value::Object(update) = update else { return };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(target) = target else { return };
    for (key, value) in update {
        let place = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        match (target.get_mut(key), value) {
            (_, Value::Null) => {
                if target.remove(key).is_some() {
                    changed.push(place);
                }
            }
            (Some(old @ Value::Object(_)), Value::Object(_)) => merge(profile, old, value, &place, changed),
            (Some(Value::Array(old)), Value::Array(new)) if !profile.array_replaces && by_id(old) && by_id(new) => {
                merge_by_id(profile, old, new, &place, changed);
            }
            // What came redacted goes back unchanged.
            (Some(_), Value::String(text)) if text == "__OPENCLAW_REDACTED__" => {}
            (old, new) => {
                if old.is_none_or(|old| *old != *new) {
                    changed.push(place);
                    target.insert(key.clone(), without_nulls(new));
                }
            }
        }
    }
}

fn by_id(rows: &[Value]) -> bool {
    rows.iter().all(|row| row["id"].is_string())
}

fn merge_by_id(profile: &Profile, old: &mut Vec<Value>, new: &[Value], path: &str, changed: &mut Vec<String>) {
    for row in new {
        if let Some(known) = old.iter_mut().find(|known| known["id"] == row["id"]) {
            merge(profile, known, row, path, changed);
        } else {
            changed.push(path.to_owned());
            old.push(row.clone());
        }
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let kept = object.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        other => other.clone(),
    }
}

/// A complaint about a configuration: path and message.
pub(crate) struct Issue {
    pub(crate) path: String,
    pub(crate) message: String,
}

/// Checks a configuration against the same schema that `config.schema` gives.
pub(crate) fn validate(profile: &Profile, config: &Value) -> Option<Issue> {
    if let Some(issue) = unknown_key(&schema(profile), config, "") {
        return Some(issue);
    }
    let entries = config
        .pointer("/agents/entries")
        .and_then(Value::as_object)
        .map_or(0, Map::len);
    if entries > 1
        && config
            .pointer("/agents/ownership")
            .is_none_or(|ownership| ownership != "explicit")
    {
        return Some(Issue {
            path: "agents.ownership".into(),
            message: "multi-agent rosters require agents.ownership=\"explicit\" or one legacy default=true marker; \
                      add agents.ownership=\"explicit\" or run openclaw doctor"
                .into(),
        });
    }
    None
}

fn unknown_key(schema: &Value, value: &Value, path: &str) -> Option<Issue> {
    if let (Some(items), Value::Array(rows)) = (schema.get("items"), value) {
        return rows.iter().find_map(|row| unknown_key(items, row, path));
    }
    let Value::Object(object) = value else { return None };
    let properties = schema.get("properties").and_then(Value::as_object);
    let others = schema.get("additionalProperties");
    object.iter().find_map(|(key, value)| {
        let place = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        match (properties.and_then(|properties| properties.get(key)), others) {
            (None, Some(Value::Bool(false))) => Some(Issue {
                path: path.to_owned(),
                message: format!("Unrecognized key: \"{key}\""),
            }),
            (Some(schema), _) | (None, Some(schema)) => unknown_key(schema, value, &place),
            (None, None) => None,
        }
    })
}

/// A small JSON schema of the configuration; closed where the measured releases were seen to refuse keys.
pub(crate) fn schema(profile: &Profile) -> Value {
    let heartbeat = heartbeat(profile);
    let agent = json!({
        "type": "object",
        "properties": {
            "id": {"type": "string"}, "name": {"type": "string"}, "workspace": {"type": "string"},
            "heartbeat": heartbeat, "tools": tools(),
        },
    });
    let mut agents = json!({"defaults": {"type": "object", "properties": {"heartbeat": heartbeat}}});
    if profile.roster_map {
        agents["entries"] = json!({"type": "object", "additionalProperties": agent});
        agents["ownership"] = json!({"enum": ["sole", "legacy", "explicit"]});
    } else {
        agents["list"] = json!({"type": "array", "items": agent});
    }
    let shown = json!({
        "type": "object",
        "properties": {
            "showOk": {"type": "boolean"}, "showAlerts": {"type": "boolean"}, "useIndicator": {"type": "boolean"},
        },
        "additionalProperties": false,
    });
    let open = || json!({"type": "object"});
    let mut root = json!({
        "agents": {"type": "object", "properties": agents, "additionalProperties": false},
        "channels": {"type": "object", "properties": {}, "additionalProperties": true},
        "tools": tools(),
    });
    // Up to 7.1 the schema does not mention the defaults, and channels take any name.
    if profile.roster_map {
        root["channels"]["properties"]["defaults"] = json!({
            "type": "object", "properties": {"heartbeatVisibility": shown}, "additionalProperties": false,
        });
    }
    for key in [
        "gateway",
        "models",
        "discovery",
        "update",
        "meta",
        "logging",
        "session",
        "cron",
        "plugins",
        "hooks",
        "messages",
        "commands",
        "auth",
        "env",
        "skills",
        "browser",
        "ui",
    ] {
        root[key] = open();
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": root,
        "additionalProperties": false,
    })
}

fn tools() -> Value {
    json!({
        "type": "object",
        "properties": {
            "exec": {"type": "object", "properties": {"host": {"enum": ["auto", "sandbox", "gateway", "node"]}}},
        },
    })
}

/// From 8.2 on keys are refused that older releases take.
fn heartbeat(profile: &Profile) -> Value {
    let mut known = json!({
        "every": {"type": "string"}, "target": {"type": "string"}, "activeHours": {}, "lightContext": {},
        "isolatedSession": {}, "prompt": {}, "directPolicy": {}, "model": {}, "session": {}, "to": {},
    });
    if !profile.roster_map {
        for old in ["includeReasoning", "ackMaxChars", "suppressToolErrorWarnings"] {
            known[old] = json!({});
        }
    }
    json!({"type": "object", "properties": known, "additionalProperties": false})
}
