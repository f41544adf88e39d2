//! One patch for many agents, out of the configuration as it is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Acceptance, ConfigSchema, HeartbeatEntry, RosterForm, default_heartbeat};
use crate::AgentId;
use crate::request::ConfigGetReply;

/// The answer to `config.get`, as a plan needs it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigSnapshot {
    /// The base of a write.
    pub hash: String,
    /// The list of agents, for look-ups and for entries that are kept: as it stands in the file.
    roster: Value,
    /// The settings, for a look at missing ones: with included files, without the gateway's defaults.
    settings: Value,
}

/// The input of a plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanOptions<'a> {
    /// The gateway's own schema; without it everything is taken to be accepted.
    pub schema: Option<&'a ConfigSchema>,
    /// The form of the roster where neither configuration nor schema tell.
    pub form: Option<RosterForm>,
}

/// The patch to send.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigPlan {
    /// The merge patch.
    pub patch: Value,
    /// The agents that have a changed entry in it.
    pub agents: BTreeSet<AgentId>,
    /// Dotted paths of wanted members that are not written, because the gateway's schema does not accept them.
    pub refused: Vec<String>,
}

/// Why no plan can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigPlanError {
    /// The value there can't be extended without a loss.
    #[error("the configuration has an unexpected {0}")]
    Unreadable(&'static str),
    /// The gateway's schema has a place for agents in neither form.
    #[error("the gateway's own schema takes no agents in its configuration")]
    NoRoster,
}

impl ConfigSnapshot {
    /// Out of an answer: agents as the file has them where they stand in it, otherwise as they were included; settings
    /// without the gateway's defaults, which would hide that a key is missing.
    pub fn of(reply: &ConfigGetReply) -> Self {
        let object = |value: &Option<Value>| value.clone().filter(Value::is_object);
        let (parsed, resolved, config) = (object(&reply.parsed), object(&reply.resolved), object(&reply.config));
        let all = [&parsed, &resolved, &config];
        let with_roster = all.iter().find_map(|config| {
            let config = config.as_ref()?;
            RosterForm::of(config).map(|_| config.clone())
        });
        let settings = [resolved.clone(), parsed.clone(), config.clone()]
            .into_iter()
            .flatten()
            .next();
        let settings = settings.unwrap_or_else(|| json!({}));
        Self {
            hash: reply.hash.clone().unwrap_or_default(),
            roster: with_roster.unwrap_or_else(|| settings.clone()),
            settings,
        }
    }

    /// A configuration that is the same in the file and after reading it.
    pub fn plain(hash: impl Into<String>, config: Value) -> Self {
        Self {
            hash: hash.into(),
            roster: config.clone(),
            settings: config,
        }
    }

    /// The configuration that the roster is read from.
    pub const fn roster(&self) -> &Value {
        &self.roster
    }
}

/// Plans the patch that gives these agents their workspace and heartbeat, and the gateway the settings that heartbeats need
/// where it has none of its own. Nothing where all of it stands there. Of several entries for one agent the last counts.
pub fn plan(
    snapshot: &ConfigSnapshot,
    entries: &[HeartbeatEntry],
    options: PlanOptions<'_>,
) -> Result<Option<ConfigPlan>, ConfigPlanError> {
    let mut wanted = BTreeMap::new();
    for entry in entries {
        wanted.insert(&entry.id, entry);
    }
    if wanted.is_empty() {
        return Ok(None);
    }
    let by_schema = || options.schema.and_then(ConfigSchema::roster_form);
    let form = RosterForm::of(&snapshot.roster).or_else(by_schema).or(options.form);
    let mut planner = Planner {
        options,
        refused: Vec::new(),
        agents: BTreeSet::new(),
    };
    let agents = match form.ok_or(ConfigPlanError::NoRoster)? {
        RosterForm::Entries => planner.entries(&snapshot.roster, &wanted)?,
        RosterForm::List => planner.list(&snapshot.roster, &wanted)?,
    };
    let mut patch = Map::new();
    if let Some(agents) = agents {
        patch.insert(AGENTS.into(), agents);
    }
    planner.settings(&snapshot.settings, &mut patch);
    planner.refused.sort();
    planner.refused.dedup();
    Ok((!patch.is_empty()).then_some(ConfigPlan {
        patch: Value::Object(patch),
        agents: planner.agents,
        refused: planner.refused,
    }))
}

impl ConfigPlan {
    /// How many sections (members of the configuration itself) it is about.
    pub fn sections(&self) -> usize {
        self.patch.as_object().map_or(0, Map::len)
    }

    /// Whether it writes anything besides agents.
    pub fn has_settings(&self) -> bool {
        let sections = self.patch.as_object();
        sections.is_some_and(|sections| sections.keys().any(|section| section != AGENTS))
    }

    /// The part of it that is about one section, agents before settings, and whether that is all of it.
    pub fn first_section(self) -> (Self, bool) {
        let Value::Object(mut sections) = self.patch else {
            return (self, true);
        };
        let first = if sections.contains_key(AGENTS) {
            Some(AGENTS.to_owned())
        } else {
            sections.keys().min().cloned()
        };
        let whole = sections.len() <= 1;
        sections.retain(|section, _| Some(section) == first.as_ref());
        let agents = if first.as_deref() == Some(AGENTS) {
            self.agents
        } else {
            BTreeSet::new()
        };
        let part = Self {
            patch: Value::Object(sections),
            agents,
            refused: self.refused,
        };
        (part, whole)
    }
}

/// The section of the configuration that agents are in.
const AGENTS: &str = "agents";

/// Plans the patch that takes an agent out of the roster. A list is written whole without it, because 2026.1.30 replaces
/// arrays. Nothing where the agent is not in it.
///
/// # Errors
/// [`ConfigPlanError::Unreadable`].
pub fn plan_removal(snapshot: &ConfigSnapshot, id: &AgentId) -> Result<Option<ConfigPlan>, ConfigPlanError> {
    let agents = match RosterForm::of(&snapshot.roster) {
        None => return Ok(None),
        Some(RosterForm::Entries) => {
            let entries = object_at(&snapshot.roster, "/agents/entries", "agents.entries")?;
            let known = entries.and_then(|entries| entries.get(id.as_str()));
            known
                .is_some_and(|entry| !entry.is_null())
                .then(|| json!({"entries": {id.as_str(): null}}))
        }
        Some(RosterForm::List) => {
            let list = snapshot.roster.pointer("/agents/list").and_then(Value::as_array);
            let list = list.ok_or(ConfigPlanError::Unreadable("agents.list"))?;
            let is_other = |entry: &&Value| entry["id"] != id.as_str();
            let kept: Vec<&Value> = list.iter().filter(is_other).collect();
            (kept.len() < list.len()).then(|| json!({ "list": kept }))
        }
    };
    Ok(agents.map(|agents| ConfigPlan {
        patch: json!({ AGENTS: agents }),
        agents: BTreeSet::from([id.clone()]),
        refused: Vec::new(),
    }))
}

struct Planner<'a> {
    options: PlanOptions<'a>,
    refused: Vec<String>,
    agents: BTreeSet<AgentId>,
}

impl Planner<'_> {
    /// The members of one agent's entry that have to change.
    fn changes(
        &mut self,
        path: &[&str],
        old: Option<&Map<String, Value>>,
        entry: &HeartbeatEntry,
    ) -> Map<String, Value> {
        let mut heartbeat = default_heartbeat();
        // A null would take a member away, now and in every plan after it.
        heartbeat.extend(
            entry
                .heartbeat
                .clone()
                .into_iter()
                .filter(|(_, value)| !value.is_null()),
        );
        let mut wanted = json!({"workspace": entry.workspace, "heartbeat": heartbeat});
        if let Some(schema) = self.options.schema {
            wanted = schema
                .retain(path, wanted, &mut self.refused)
                .unwrap_or_else(|| json!({}));
        }
        let old = old.cloned().map_or(Value::Null, Value::Object);
        match difference(&old, &wanted) {
            Some(Value::Object(changes)) => changes,
            _ => Map::new(),
        }
    }

    /// The map form: only changes are sent.
    fn entries(
        &mut self,
        config: &Value,
        wanted: &BTreeMap<&AgentId, &HeartbeatEntry>,
    ) -> Result<Option<Value>, ConfigPlanError> {
        let old = object_at(config, "/agents/entries", "agents.entries")?;
        let mut changed = Map::new();
        for (id, entry) in wanted {
            let known = old.and_then(|entries| entries.get(id.as_str()));
            let known = match known {
                None | Some(Value::Null) => None,
                Some(Value::Object(known)) => Some(known),
                Some(_) => return Err(ConfigPlanError::Unreadable("agents.entries")),
            };
            let update = self.changes(&["agents", "entries", id.as_str()], known, entry);
            if !update.is_empty() || known.is_none() {
                self.agents.insert((*id).clone());
                changed.insert(id.to_string(), Value::Object(update));
            }
        }
        if changed.is_empty() {
            return Ok(None);
        }
        // A gateway without a roster has `main`, until somebody writes one without it.
        if old.is_none_or(Map::is_empty) && !changed.contains_key(DEFAULT_AGENT) {
            changed.insert(DEFAULT_AGENT.into(), json!({}));
        }
        let mut agents = Map::new();
        if self.needs_ownership(config, old, &changed) {
            agents.insert("ownership".into(), json!("explicit"));
        }
        agents.insert("entries".into(), Value::Object(changed));
        Ok(Some(Value::Object(agents)))
    }

    fn needs_ownership(&self, config: &Value, old: Option<&Map<String, Value>>, changed: &Map<String, Value>) -> bool {
        let known = |id: &String| old.is_some_and(|entries| entries.contains_key(id));
        let count = old.map_or(0, Map::len) + changed.keys().filter(|id| !known(id)).count();
        // Gateways take a roster with one entry marked as the default too: whoever wrote that meant it.
        let marked = old.into_iter().flatten().any(|(_, entry)| entry["default"] == true);
        let explicit = config
            .pointer("/agents/ownership")
            .is_some_and(|value| value == "explicit");
        let taken = self
            .options
            .schema
            .is_none_or(|schema| schema.accepts(&["agents", "ownership"]) != Acceptance::Refused);
        count > 1 && !explicit && !marked && taken
    }

    /// The array form: always the whole list with whole entries, because 2026.1.30 replaces arrays.
    fn list(
        &mut self,
        config: &Value,
        wanted: &BTreeMap<&AgentId, &HeartbeatEntry>,
    ) -> Result<Option<Value>, ConfigPlanError> {
        let mut list = match config.pointer("/agents/list") {
            None | Some(Value::Null) => vec![json!({"id": DEFAULT_AGENT})],
            // An empty list is no list to a gateway: it has `main` all the same.
            Some(Value::Array(list)) if list.is_empty() => vec![json!({"id": DEFAULT_AGENT})],
            Some(Value::Array(list)) => list.clone(),
            Some(_) => return Err(ConfigPlanError::Unreadable("agents.list")),
        };
        for (id, entry) in wanted {
            let found = list.iter().position(|known| known["id"] == id.as_str());
            let known = match found.and_then(|at| list.get(at)) {
                None => None,
                Some(Value::Object(known)) => Some(known),
                Some(_) => return Err(ConfigPlanError::Unreadable("agents.list")),
            };
            let changes = self.changes(&["agents", "list", "*"], known, entry);
            if changes.is_empty() && known.is_some() {
                continue;
            }
            self.agents.insert((*id).clone());
            if let Some(known) = found.and_then(|at| list.get_mut(at)) {
                merge(known, Value::Object(changes));
            } else {
                let mut new = Map::new();
                new.insert("id".into(), json!(id.as_str()));
                new.extend(changes);
                list.push(Value::Object(new));
            }
        }
        Ok((!self.agents.is_empty()).then(|| json!({ "list": list })))
    }

    /// Settings of the whole gateway, where it has none.
    fn settings(&mut self, config: &Value, patch: &mut Map<String, Value>) {
        let visibility = self.visibility_key();
        let shown = json!({"showOk": false, "showAlerts": true, "useIndicator": true});
        let settings = [
            (["channels", "defaults", visibility], shown),
            (["tools", "exec", "host"], json!("gateway")),
        ];
        for (path, value) in settings {
            let value = match self.options.schema {
                Some(schema) => schema.retain(&path, value, &mut self.refused),
                None => Some(value),
            };
            let Some(missing) = value.and_then(|value| missing_at(config, &path, value)) else {
                continue;
            };
            let mut part = missing;
            for step in path.iter().rev() {
                part = json!({ *step: part });
            }
            let mut whole = Value::Object(std::mem::take(patch));
            merge(&mut whole, part);
            if let Value::Object(whole) = whole {
                *patch = whole;
            }
        }
    }

    /// `heartbeat` up to 2026.7, `heartbeatVisibility` since. Where any name is taken the older one is meant: those that have
    /// the newer one name it.
    fn visibility_key(&self) -> &'static str {
        const NEW: &str = "heartbeatVisibility";
        const OLD: &str = "heartbeat";
        let says = |key| {
            self.options.schema.map_or(Acceptance::Open, |schema| {
                schema.accepts(&["channels", "defaults", key])
            })
        };
        if says(NEW) > says(OLD) { NEW } else { OLD }
    }
}

/// The agent that a gateway without a roster has.
const DEFAULT_AGENT: &str = "main";

fn object_at<'a>(
    config: &'a Value,
    pointer: &str,
    name: &'static str,
) -> Result<Option<&'a Map<String, Value>>, ConfigPlanError> {
    match config.pointer(pointer) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(ConfigPlanError::Unreadable(name)),
    }
}

/// The part of `wanted` that is missing: only absent members, never those that have another value. Where something
/// else than an object stands on the way, nothing.
fn missing_at(config: &Value, path: &[&str], wanted: Value) -> Option<Value> {
    let mut here = config;
    for step in path {
        match here.get(step) {
            None | Some(Value::Null) if here.is_object() => return Some(wanted),
            None => return None,
            Some(next) => here = next,
        }
    }
    let (Value::Object(known), Value::Object(wanted)) = (here, wanted) else {
        return None;
    };
    let missing: Map<String, Value> = wanted
        .into_iter()
        .filter(|(key, _)| known.get(key).is_none_or(Value::is_null))
        .collect();
    (!missing.is_empty()).then_some(Value::Object(missing))
}

/// The patch that, merged into `old`, brings all of `wanted` into it.
fn difference(old: &Value, wanted: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(wanted)) = (old, wanted) else {
        return (old != wanted).then(|| wanted.clone());
    };
    let changed: Map<String, Value> = wanted
        .iter()
        .filter_map(|(key, wanted)| {
            let old = old.get(key).unwrap_or(&Value::Null);
            Some((key.clone(), difference(old, wanted)?))
        })
        .collect();
    (!changed.is_empty()).then_some(Value::Object(changed))
}

/// Merges objects, replaces everything else.
fn merge(target: &mut Value, update: Value) {
    match (target, update) {
        (Value::Object(target), Value::Object(update)) => {
            for (key, value) in update {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, update) => *target = update,
    }
}
