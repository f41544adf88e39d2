//! The agents of a gateway's configuration, as `config.get` tells them.

use serde_json::{Map, Value, json};
use windlass::store::Agent;

use super::{Bench, Team};
use crate::scenario::{Failure, check_eq};

/// A gateway's configuration file, as it was read.
pub(in super::super) struct Roster {
    config: Value,
}

impl Roster {
    pub(in super::super) async fn read(bench: &Bench) -> Result<Self, Failure> {
        let answer = bench.ask("config.get", json!({})).await?;
        let config = answer["parsed"].clone();
        Ok(Self { config })
    }

    /// Whether agents are a map (from 2026.8 on) and not a list.
    pub(in super::super) fn is_map(&self) -> bool {
        self.config["agents"]["entries"].is_object()
    }

    /// The entries with this id: one, if all is well.
    pub(in super::super) fn entries(&self, id: &str) -> Vec<&Value> {
        if self.is_map() {
            return self.config["agents"]["entries"].get(id).into_iter().collect();
        }
        let list = self.config["agents"]["list"].as_array();
        list.into_iter().flatten().filter(|entry| entry["id"] == id).collect()
    }

    /// Fails unless the agent stands there once, with the workspace and the heartbeat that it should have.
    pub(in super::super) fn check(&self, team: &Team, agent: &Agent) -> Result<(), Failure> {
        let id = agent.agent_id().to_string();
        let entries = self.entries(&id);
        check_eq(&format!("entries of {id} in the configuration"), &entries.len(), &1)?;
        let entry = entries[0];
        let folder = team.workspace(agent);
        check_eq("workspace", &entry["workspace"].as_str(), &Some(folder.as_str()))?;
        let mut heartbeat = Map::new();
        heartbeat.insert("every".to_owned(), json!("10m"));
        heartbeat.insert("target".to_owned(), json!("last"));
        if !self.is_map() {
            // Releases with a map refuse it: "Unrecognized key".
            heartbeat.insert("includeReasoning".to_owned(), json!(false));
        }
        check_eq(
            &format!("heartbeat of {id}"),
            &entry["heartbeat"],
            &Value::Object(heartbeat),
        )
    }

    /// Fails unless the shared settings of all agents are there, under the name that this gateway uses.
    pub(in super::super) fn check_shared(&self) -> Result<(), Failure> {
        let (name, other) = if self.is_map() {
            ("heartbeatVisibility", "heartbeat")
        } else {
            ("heartbeat", "heartbeatVisibility")
        };
        let defaults = &self.config["channels"]["defaults"];
        let shown = json!({"showOk": false, "showAlerts": true, "useIndicator": true});
        check_eq(name, &defaults[name], &shown)?;
        check_eq(other, &defaults[other], &Value::Null)?;
        check_eq(
            "tools.exec.host",
            &self.config["tools"]["exec"]["host"],
            &json!("gateway"),
        )
    }
}
