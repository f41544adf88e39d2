//! The agents in a configuration, whichever form the release keeps them in.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::AgentId;
use crate::json::unmarked_for_people;

/// How a gateway keeps its agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RosterForm {
    /// The array `agents.list` (up to 2026.7).
    List,
    /// The map `agents.entries`, with `agents.ownership` (from 2026.8 on).
    Entries,
}

/// One configured agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RosterAgent {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its folder on the gateway's host, if it has one of its own.
    pub workspace: Option<String>,
    /// Its heartbeat, if it has one of its own.
    pub heartbeat: Option<Map<String, Value>>,
}

/// All configured agents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roster {
    /// By id. Entries without a usable id are left out.
    pub agents: BTreeMap<AgentId, RosterAgent>,
}

/// The wanted entry of one agent in the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct HeartbeatEntry {
    /// The agent of the entry.
    pub id: AgentId,
    /// Its folder on the gateway's host.
    pub workspace: String,
    /// Its heartbeat. Merged over [`default_heartbeat`](super::default_heartbeat) and into the existing one.
    pub heartbeat: Map<String, Value>,
}

impl RosterForm {
    /// By the configuration itself: `agents.entries` or `agents.list`. A configuration with neither does not tell.
    pub fn of(config: &Value) -> Option<Self> {
        let has = |pointer| config.pointer(pointer).is_some_and(|roster| !roster.is_null());
        if has("/agents/entries") {
            Some(Self::Entries)
        } else if has("/agents/list") {
            Some(Self::List)
        } else {
            None
        }
    }
}

impl Roster {
    /// Reads the agents of a configuration, in either form.
    pub fn read(config: &Value) -> Self {
        let mut agents = BTreeMap::new();
        let mut add = |id: &str, entry: &Value| {
            if let Ok(id) = AgentId::parse(id) {
                agents.entry(id).or_insert_with(|| RosterAgent::read(entry));
            }
        };
        let entries = config.pointer("/agents/entries").and_then(Value::as_object);
        for (id, entry) in entries.into_iter().flatten() {
            add(id, entry);
        }
        let list = config.pointer("/agents/list").and_then(Value::as_array);
        for entry in list.into_iter().flatten() {
            if let Some(id) = entry.get("id").and_then(Value::as_str) {
                add(id, entry);
            }
        }
        Self { agents }
    }
}

impl RosterAgent {
    fn read(entry: &Value) -> Self {
        let text = |key: &str| Some(unmarked_for_people(entry.get(key)?.as_str()?).into_owned());
        Self {
            name: text("name"),
            workspace: text("workspace"),
            heartbeat: entry.get("heartbeat").and_then(Value::as_object).cloned(),
        }
    }
}
