use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::AgentId;

/// The way a gateway merges a patch; `by_id` as all but 2026.1.30 do with arrays of objects that have ids.
fn apply(target: &mut Value, patch: &Value, by_id: bool) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, update) in patch {
        let old = target.get(key).cloned().unwrap_or(Value::Null);
        let new = match (old, update) {
            (_, Value::Null) => None,
            (mut old @ Value::Object(_), Value::Object(_)) => {
                apply(&mut old, update, by_id);
                Some(old)
            }
            (Value::Array(mut rows), Value::Array(new)) if by_id => {
                for row in new {
                    match rows.iter_mut().find(|known| known["id"] == row["id"]) {
                        Some(known) => apply(known, row, by_id),
                        None => rows.push(row.clone()),
                    }
                }
                Some(Value::Array(rows))
            }
            (_, update) => Some(update.clone()),
        };
        match new {
            Some(new) => target[key] = new,
            None => drop(target.as_object_mut().unwrap().remove(key)),
        }
    }
}

fn entry(id: &str, heartbeat: Value) -> HeartbeatEntry {
    let Value::Object(heartbeat) = heartbeat else {
        panic!("an object")
    };
    HeartbeatEntry {
        id: AgentId::parse(id).unwrap(),
        workspace: format!("/srv/workspace-{id}"),
        heartbeat,
    }
}

fn planned(config: &Value, entries: &[HeartbeatEntry], schema: Option<&ConfigSchema>) -> Option<ConfigPlan> {
    let snapshot = ConfigSnapshot::plain("h", config.clone());
    plan(&snapshot, entries, PlanOptions { schema, form: None }).unwrap()
}

/// The parts of a schema that matter here, as 2026.9.6 sends them.
fn map_schema() -> ConfigSchema {
    let heartbeat = json!({"type": "object", "additionalProperties": false, "properties": {
        "every": {"type": "string"}, "target": {"type": "string"}, "prompt": {"type": "string"},
        "lightContext": {"type": "boolean"}, "timeoutSeconds": {"type": "integer"},
    }});
    let agent = json!({"type": "object", "additionalProperties": false, "properties": {
        "name": {"type": "string"}, "workspace": {"type": "string"}, "heartbeat": heartbeat,
        "default": {"type": "boolean"}, "tools": {},
    }});
    let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
    "additionalProperties": false, "properties": {
        "agents": {"type": "object", "additionalProperties": false, "properties": {
            "ownership": {"enum": ["sole", "legacy", "explicit"]},
            "defaults": {"type": "object"},
            "entries": {"type": "object", "additionalProperties": agent},
        }},
        "channels": {"type": "object", "additionalProperties": true, "properties": {
            "telegram": {"type": "object"},
            "defaults": {"type": "object", "additionalProperties": false, "properties": {
                "heartbeatVisibility": {"type": "object", "additionalProperties": false, "properties": {
                    "showOk": {"type": "boolean"}, "showAlerts": {"type": "boolean"}, "useIndicator": {"type": "boolean"},
                }},
            }},
        }},
        "tools": {"type": "object", "properties": {"exec": {"type": "object", "properties": {
            "host": {"type": "string", "enum": ["auto", "sandbox", "gateway", "node"]},
        }}}},
        "models": {"type": "object"},
    }});
    ConfigSchema::parse(&json!({"schema": schema, "version": "2026.9.6"}).to_string()).unwrap()
}

/// As 2026.7.1 sends them: channels take any name, and the defaults are not mentioned.
fn list_schema() -> ConfigSchema {
    let heartbeat = json!({"type": "object", "additionalProperties": false, "properties": {
        "every": {"type": "string"}, "target": {"type": "string"}, "includeReasoning": {"type": "boolean"},
        "prompt": {"type": "string"}, "lightContext": {"type": "boolean"}, "timeoutSeconds": {"type": "integer"},
    }});
    let agent = json!({"type": "object", "additionalProperties": false, "required": ["id"], "properties": {
        "id": {"type": "string"}, "name": {"type": "string"}, "workspace": {"type": "string"}, "heartbeat": heartbeat,
        "default": {"type": "boolean"}, "tools": {},
    }});
    let schema = json!({"type": "object", "additionalProperties": false, "properties": {
        "agents": {"type": "object", "additionalProperties": false, "properties": {
            "defaults": {"type": "object"}, "list": {"type": "array", "items": agent},
        }},
        "channels": {"type": "object", "additionalProperties": true, "properties": {"telegram": {"type": "object"}}},
        "tools": {"type": "object", "properties": {"exec": {"type": "object", "properties": {
            "host": {"type": "string", "enum": ["sandbox", "gateway", "node"]},
        }}}},
    }});
    ConfigSchema::parse(&schema.to_string()).unwrap()
}

#[test]
fn both_forms_of_a_roster_are_read() {
    let list = json!({"agents": {"list": [{"id": "main"}, {"name": "no id"}, {"id": "a b"},
        {"id": "a", "name": "A", "workspace": "/w", "heartbeat": {"every": "1m"}}]}});
    let map = json!({"agents": {"entries": {"main": {}, "a": {"name": "A", "workspace": "/w", "heartbeat": {"every": "1m"}}}}});
    let roster = Roster::read(&list);
    assert_eq!(roster, Roster::read(&map));
    let agent = &roster.agents[&AgentId::parse("a").unwrap()];
    assert_eq!(
        (agent.name.as_deref(), agent.workspace.as_deref()),
        (Some("A"), Some("/w"))
    );
    assert_eq!(agent.heartbeat.as_ref().unwrap()["every"], "1m");
    assert_eq!(
        (RosterForm::of(&list), RosterForm::of(&map)),
        (Some(RosterForm::List), Some(RosterForm::Entries))
    );
    assert_eq!(
        (
            RosterForm::of(&json!({"agents": {}})),
            Roster::read(&json!(null)).agents.len()
        ),
        (None, 0)
    );
}

#[test]
fn a_map_roster_gets_only_what_changes_and_no_key_that_is_refused() {
    let config = json!({"agents": {"entries": {"main": {}, "a": {"name": "A", "tools": {"x": 1}}}}});
    let schema = map_schema();
    let plan = planned(
        &config,
        &[entry("a", json!({"every": "5m", "ackMaxChars": 3}))],
        Some(&schema),
    )
    .unwrap();
    assert_eq!(
        plan.patch,
        json!({
            "agents": {"ownership": "explicit", "entries": {
                "a": {"workspace": "/srv/workspace-a", "heartbeat": {"every": "5m", "target": "last"}},
            }},
            "channels": {"defaults": {"heartbeatVisibility": {"showOk": false, "showAlerts": true, "useIndicator": true}}},
            "tools": {"exec": {"host": "gateway"}},
        })
    );
    assert_eq!(
        plan.refused,
        [
            "agents.entries.a.heartbeat.ackMaxChars",
            "agents.entries.a.heartbeat.includeReasoning"
        ]
    );
}

#[test]
fn a_list_roster_is_sent_whole_and_keeps_the_agent_that_it_implies() {
    let schema = list_schema();
    let plan = planned(&json!({}), &[entry("a", json!({}))], Some(&schema)).unwrap();
    let heartbeat = json!({"every": "10m", "target": "last", "includeReasoning": false});
    assert_eq!(
        plan.patch["agents"],
        json!({"list": [{"id": "main"}, {"id": "a", "workspace": "/srv/workspace-a", "heartbeat": heartbeat}]})
    );
    assert_eq!(plan.patch["channels"]["defaults"]["heartbeat"]["showAlerts"], true);
    let known =
        json!({"agents": {"list": [{"id": "zz", "secret": "__OPENCLAW_REDACTED__"}, {"id": "a", "name": "A"}]}});
    let plan = planned(&known, &[entry("a", json!({}))], Some(&schema)).unwrap();
    let list = plan.patch["agents"]["list"].as_array().unwrap();
    assert_eq!(list[0], known["agents"]["list"][0]);
    assert_eq!(
        (list.len(), &list[1]["name"], &list[1]["workspace"]),
        (2, &json!("A"), &json!("/srv/workspace-a"))
    );
}

#[test]
fn an_agent_is_taken_out_of_a_list_roster_and_the_others_stay_as_they_are() {
    let config = json!({"agents": {"list": [
        {"id": "main"}, {"id": "a", "heartbeat": {"every": "1m"}}, {"id": "b", "workspace": "/srv/b", "odd": 1},
    ]}});
    let removal = |config: &Value, id: &str| {
        let snapshot = ConfigSnapshot::plain("h", config.clone());
        plan_removal(&snapshot, &AgentId::parse(id).unwrap())
    };
    let plan = removal(&config, "a").unwrap().unwrap();
    let mut applied = config.clone();
    apply(&mut applied, &plan.patch, false);
    assert_eq!(
        applied["agents"]["list"],
        json!([{"id": "main"}, {"id": "b", "workspace": "/srv/b", "odd": 1}])
    );
    assert_eq!(removal(&applied, "a"), Ok(None));
    assert_eq!(removal(&json!({}), "a"), Ok(None));
}

#[test]
fn an_agent_is_taken_out_of_a_map_roster_by_its_own_member_alone() {
    let config = json!({"agents": {"ownership": "explicit", "entries": {"main": {}, "a": {"workspace": "/srv/a"}}}});
    let removal = |config: &Value, id: &str| {
        let snapshot = ConfigSnapshot::plain("h", config.clone());
        plan_removal(&snapshot, &AgentId::parse(id).unwrap()).unwrap()
    };
    let plan = removal(&config, "a").unwrap();
    assert_eq!(plan.patch, json!({"agents": {"entries": {"a": null}}}));
    assert_eq!(removal(&config, "b"), None);
}

#[test]
fn a_plan_falls_into_sections_agents_first() {
    let config = json!({"agents": {"entries": {"main": {}}}});
    let plan = planned(&config, &[entry("a", json!({}))], Some(&map_schema())).unwrap();
    assert_eq!((plan.sections(), plan.has_settings()), (3, true));
    let mut rest = plan.patch.clone();
    let mut seen = Vec::new();
    while rest.as_object().is_some_and(|sections| !sections.is_empty()) {
        let left = ConfigPlan {
            patch: rest.clone(),
            ..plan.clone()
        };
        let (part, whole) = left.first_section();
        let section = part.patch.as_object().unwrap().keys().next().unwrap().clone();
        assert_eq!(part.patch[&section], plan.patch[&section]);
        assert_eq!(part.agents.is_empty(), section != "agents");
        rest.as_object_mut().unwrap().remove(&section);
        assert_eq!(whole, rest.as_object().unwrap().is_empty());
        seen.push(section);
    }
    assert_eq!(seen, ["agents", "channels", "tools"]);
}

#[test]
fn settings_are_filled_where_they_are_missing_and_never_changed() {
    let schema = map_schema();
    let config = json!({
        "agents": {"entries": {"main": {}}},
        "channels": {"defaults": {"heartbeatVisibility": {"showOk": true}}},
        "tools": {"exec": {"host": "node"}},
    });
    let plan = planned(&config, &[entry("main", json!({}))], Some(&schema)).unwrap();
    assert_eq!(
        plan.patch["channels"],
        json!({"defaults": {"heartbeatVisibility": {"showAlerts": true, "useIndicator": true}}})
    );
    assert!(plan.patch.get("tools").is_none(), "{}", plan.patch);
    assert!(
        plan.patch["agents"].get("ownership").is_none(),
        "one agent needs no ownership"
    );
}

#[test]
fn a_roster_with_a_marked_default_keeps_its_ownership() {
    let config = json!({"agents": {"ownership": "legacy", "entries": {"main": {"default": true}, "b": {}}}});
    let plan = planned(&config, &[entry("a", json!({}))], Some(&map_schema())).unwrap();
    assert!(plan.patch["agents"].get("ownership").is_none(), "{}", plan.patch);
}

#[test]
fn the_form_is_taken_from_the_configuration_then_the_schema_then_the_hint() {
    let entries = [entry("a", json!({}))];
    let empty = ConfigSnapshot::plain("h", json!({"agents": {"defaults": {}}}));
    let form = |schema: Option<&ConfigSchema>, form| {
        plan(&empty, &entries, PlanOptions { schema, form }).map(|plan| {
            let agents = &plan.unwrap().patch["agents"];
            (agents.get("list").is_some(), agents.get("entries").is_some())
        })
    };
    assert_eq!(form(Some(&map_schema()), Some(RosterForm::List)), Ok((false, true)));
    assert_eq!(form(Some(&list_schema()), Some(RosterForm::Entries)), Ok((true, false)));
    assert_eq!(form(None, Some(RosterForm::List)), Ok((true, false)));
    assert_eq!(form(None, None), Err(ConfigPlanError::NoRoster));
    // The agent that was there by default stays.
    let patch = plan(
        &empty,
        &entries,
        PlanOptions {
            schema: Some(&map_schema()),
            form: None,
        },
    );
    assert_eq!(patch.unwrap().unwrap().patch["agents"]["entries"]["main"], json!({}));
}

#[test]
fn what_can_not_be_extended_is_an_error_and_not_overwritten() {
    for (config, place) in [
        (json!({"agents": {"entries": [1]}}), "agents.entries"),
        (json!({"agents": {"entries": {"a": "text"}}}), "agents.entries"),
        (
            json!({"agents": {"list": {"$include": "./agents.json5"}}}),
            "agents.list",
        ),
    ] {
        let snapshot = ConfigSnapshot::plain("h", config);
        let error = plan(&snapshot, &[entry("a", json!({}))], PlanOptions::default()).unwrap_err();
        assert_eq!(error, ConfigPlanError::Unreadable(place));
    }
    // A setting whose place is taken by something else is left alone.
    let odd = json!({"agents": {"entries": {"main": {}}}, "channels": "none", "tools": {"exec": []}});
    let plan = planned(&odd, &[entry("main", json!({}))], None).unwrap();
    assert!(
        plan.patch.get("channels").is_none() && plan.patch.get("tools").is_none(),
        "{}",
        plan.patch
    );
}

#[test]
fn a_snapshot_takes_agents_from_the_file_and_settings_without_defaults() {
    let reply = |value| serde_json::from_value::<ConfigGetReply>(value).unwrap();
    let snapshot = ConfigSnapshot::of(&reply(json!({
        "hash": "h1",
        "parsed": {"agents": {"list": [{"id": "a", "token": "${TOKEN}"}]}},
        "resolved": {"agents": {"list": [{"id": "a", "token": "__OPENCLAW_REDACTED__"}]}, "tools": {}},
        "config": {"agents": {"list": [{"id": "a"}]}, "tools": {"exec": {"host": "auto"}}},
    })));
    let plan = plan(&snapshot, &[entry("a", json!({}))], PlanOptions::default())
        .unwrap()
        .unwrap();
    assert_eq!(plan.patch["agents"]["list"][0]["token"], "${TOKEN}");
    assert_eq!(plan.patch["tools"]["exec"]["host"], "gateway");
    // 2026.9.6 has the roster's only agent in what it resolves, and not in the file.
    let snapshot = ConfigSnapshot::of(&reply(json!({
        "parsed": {"agents": {"defaults": {}}},
        "resolved": {"agents": {"entries": {"main": {}}}},
        "config": {"agents": {"entries": {"main": {}}}},
    })));
    assert_eq!(RosterForm::of(snapshot.roster()), Some(RosterForm::Entries));
    assert_eq!(Roster::read(snapshot.roster()).agents.len(), 1);
}

#[test]
fn schemas_are_walked_through_references_and_alternatives() {
    let schema = ConfigSchema::parse(
        &json!({
            "definitions": {"agent": {"type": "object", "properties": {"heartbeat": {"$ref": "#/definitions/hb"}}, "additionalProperties": false},
                "hb": {"allOf": [
                    {"type": "object", "properties": {"every": {}, "secret": {}}, "additionalProperties": false},
                    {"properties": {"secret": false}},
                ]},
                "loop": {"$ref": "#/definitions/loop"}},
            "properties": {
                "agents": {"properties": {"entries": {"anyOf": [
                    {"type": "string"},
                    {"type": "object", "additionalProperties": {"$ref": "#/definitions/agent"}},
                ]}}},
                "channels": {"properties": {"defaults": {"$ref": "#/definitions/loop"}}},
                "tools": {"oneOf": [{"type": "null"}, {"type": ["object", "null"], "properties": {"exec": {"properties": {"host": {"anyOf": [{"const": "node"}, {"enum": ["sandbox"]}]}}}}}]},
            },
        })
        .to_string(),
    )
    .unwrap();
    let of = |path: &[&str]| schema.accepts(path);
    assert_eq!(of(&["agents", "entries", "x", "heartbeat", "every"]), Acceptance::Named);
    assert_eq!(
        of(&["agents", "entries", "x", "heartbeat", "other"]),
        Acceptance::Refused
    );
    assert_eq!(
        of(&["agents", "entries", "x", "heartbeat", "secret"]),
        Acceptance::Refused
    );
    assert_eq!(of(&["agents", "entries", "x", "workspace"]), Acceptance::Refused);
    assert_eq!(of(&["channels", "defaults", "heartbeat"]), Acceptance::Open);
    let mut refused = Vec::new();
    let path = ["tools", "exec", "host"];
    assert_eq!(schema.retain(&path, json!("gateway"), &mut refused), None);
    assert_eq!(schema.retain(&path, json!("node"), &mut refused), Some(json!("node")));
    assert_eq!(refused, ["tools.exec.host"]);
    assert!(ConfigSchema::parse("[]").is_err());
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from)
    ]
}

const IDS: [&str; 6] = ["main", "a", "b", "lead-1", "mc-2", "zz"];
const HEARTBEAT_KEYS: [&str; 7] = [
    "every",
    "target",
    "prompt",
    "includeReasoning",
    "ackMaxChars",
    "lightContext",
    "unheard",
];

fn heartbeat() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map(prop::sample::select(&HEARTBEAT_KEYS[..]), leaf(), 0..5)
        .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn agents() -> impl Strategy<Value = Map<String, Value>> {
    let members = (
        prop::option::of(leaf()),
        prop::option::of(heartbeat()),
        prop::option::of(leaf()),
    );
    let agent = members.prop_map(|(name, heartbeat, other)| {
        let mut agent = Map::new();
        name.map(|name| agent.insert("name".into(), name));
        heartbeat.map(|heartbeat| agent.insert("heartbeat".into(), Value::Object(heartbeat)));
        other.map(|other| agent.insert("unheardOf".into(), json!({ "deep": other })));
        Value::Object(agent)
    });
    prop::collection::btree_map(prop::sample::select(&IDS[..]), agent, 0..5)
        .prop_map(|map| map.into_iter().map(|(id, agent)| (id.to_owned(), agent)).collect())
}

fn config() -> impl Strategy<Value = (bool, Value)> {
    (
        any::<bool>(),
        agents(),
        prop::option::of(leaf()),
        prop::option::of(any::<bool>()),
    )
        .prop_map(|(map, agents, host, shown)| {
            let mut config = json!({"models": {"mode": "replace"}, "agents": {"defaults": {"maxConcurrent": 3}}});
            if map {
                config["agents"]["entries"] = Value::Object(agents);
            } else {
                let with_id = |(id, mut agent): (String, Value)| {
                    agent["id"] = json!(id);
                    agent
                };
                config["agents"]["list"] = agents.into_iter().map(with_id).collect();
            }
            if let Some(host) = host {
                config["tools"] = json!({"exec": {"host": host, "ask": "off"}});
            }
            if let Some(shown) = shown {
                config["channels"] =
                    json!({"defaults": {"heartbeat": {"showOk": shown}, "heartbeatVisibility": {"showOk": shown}}});
            }
            (map, config)
        })
}

fn wanted() -> impl Strategy<Value = Vec<HeartbeatEntry>> {
    let one = (prop::sample::select(&IDS[..]), heartbeat());
    prop::collection::vec(
        one.prop_map(|(id, heartbeat)| entry(id, Value::Object(heartbeat))),
        0..6,
    )
}

/// Everything of `old` is in `new`, apart from the wanted members of an entry.
fn assert_kept(old: &Value, new: &Value, place: &str) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                let place = format!("{place}.{key}");
                let found = new.get(key).unwrap_or_else(|| panic!("{place} is gone"));
                assert_kept(value, found, &place);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for (at, row) in old.iter().enumerate() {
                assert_eq!(row["id"], new[at]["id"], "{place}: the order changed");
                assert_kept(row, &new[at], &format!("{place}.{at}"));
            }
        }
        _ if place.contains(".heartbeat.") && place.starts_with(".agents") => {}
        _ => assert_eq!(old, new, "{place}"),
    }
}

fn object<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flatten()
}

fn assert_written_keys_are_known(patch: &Value, map: bool) {
    let known: &[&str] = if map {
        &["every", "target", "prompt", "lightContext"]
    } else {
        &["every", "target", "prompt", "lightContext", "includeReasoning"]
    };
    assert!(
        object(patch, "").all(|(key, _)| ["agents", "channels", "tools"].contains(&key.as_str())),
        "{patch}"
    );
    for (_, agent) in object(patch, "/agents/entries") {
        let keys = object(agent, "").map(|(key, _)| key.as_str());
        assert!(
            keys.into_iter().all(|key| ["workspace", "heartbeat"].contains(&key)),
            "{patch}"
        );
        assert!(
            object(agent, "/heartbeat").all(|(key, _)| known.contains(&key.as_str())),
            "{patch}"
        );
    }
    let visibility = if map { "heartbeatVisibility" } else { "heartbeat" };
    assert!(
        object(patch, "/channels/defaults").all(|(key, _)| key == visibility),
        "{patch}"
    );
}

proptest! {
    #[test]
    fn a_plan_is_complete_idempotent_and_loses_nothing((map, config) in config(), entries in wanted(), by_id in any::<bool>()) {
        let schema = if map { map_schema() } else { list_schema() };
        let Some(plan) = planned(&config, &entries, Some(&schema)) else { return Ok(()) };
        assert_written_keys_are_known(&plan.patch, map);
        let mut written = config.clone();
        apply(&mut written, &plan.patch, by_id);
        assert_kept(&config, &written, "");
        prop_assert_eq!(planned(&written, &entries, Some(&schema)), None, "not idempotent: {}", plan.patch);
        let roster = Roster::read(&written);
        for entry in &entries {
            let agent = &roster.agents[&entry.id];
            prop_assert_eq!(agent.workspace.as_deref(), Some(entry.workspace.as_str()));
        }
        prop_assert!(!map || roster.agents.len() < 2 || written["agents"]["ownership"] == "explicit");
    }

    #[test]
    fn in_a_list_keys_that_the_schema_does_not_know_come_only_from_what_stood_there(
        (map, config) in config(), entries in wanted(),
    ) {
        prop_assume!(!map);
        let Some(plan) = planned(&config, &entries, Some(&list_schema())) else { return Ok(()) };
        let before = Roster::read(&config);
        for (id, agent) in &Roster::read(&plan.patch).agents {
            let old = before.agents.get(id).and_then(|agent| agent.heartbeat.clone()).unwrap_or_default();
            for key in agent.heartbeat.clone().unwrap_or_default().keys() {
                prop_assert!(old.contains_key(key) || !["ackMaxChars", "unheard"].contains(&key.as_str()), "{}", key);
            }
        }
    }
}
