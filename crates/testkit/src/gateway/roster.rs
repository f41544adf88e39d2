//! The agents, which live in the configuration: an array up to 7.1, a map from 8.2 on.

use serde_json::{Map, Value, json};

use super::profile::Profile;

/// One configured agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agent {
    pub(crate) id: String,
    pub(crate) entry: Map<String, Value>,
}

impl Agent {
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.entry.get(key).and_then(Value::as_str)
    }

    pub(crate) fn workspace(&self) -> String {
        match self.text("workspace") {
            Some(workspace) => workspace.to_owned(),
            None if self.id == "main" => "/srv/gateway/workspace".to_owned(),
            None => format!("/srv/gateway/workspace/{}", self.id),
        }
    }

    pub(crate) fn model(&self) -> Option<&str> {
        self.text("model")
            .or_else(|| self.entry.get("model")?.get("primary")?.as_str())
    }
}

/// All agents in roster order; a gateway without a roster has `main`.
pub(crate) fn agents(profile: &Profile, config: &Value) -> Vec<Agent> {
    let mut found: Vec<Agent> = if profile.roster_map {
        let entries = config.pointer("/agents/entries").and_then(Value::as_object);
        entries
            .into_iter()
            .flatten()
            .map(|(id, entry)| agent(id, entry))
            .collect()
    } else {
        let list = config.pointer("/agents/list").and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(|entry| Some(agent(entry["id"].as_str()?, entry)))
            .collect()
    };
    if found.is_empty() {
        found.push(Agent {
            id: "main".into(),
            ..Agent::default()
        });
    }
    found
}

fn agent(id: &str, entry: &Value) -> Agent {
    Agent {
        id: id.to_owned(),
        entry: entry.as_object().cloned().unwrap_or_default(),
    }
}

pub(crate) fn find(profile: &Profile, config: &Value, id: &str) -> Option<Agent> {
    agents(profile, config).into_iter().find(|agent| agent.id == id)
}

/// `main` if there is one, else the first.
pub(crate) fn default_id(profile: &Profile, config: &Value) -> String {
    let agents = agents(profile, config);
    let main = agents.iter().find(|agent| agent.id == "main").or(agents.first());
    main.map_or_else(|| "main".to_owned(), |agent| agent.id.clone())
}

/// Adds or replaces an agent's entry.
pub(crate) fn put(profile: &Profile, config: &mut Value, id: &str, mut entry: Map<String, Value>) {
    if profile.roster_map {
        config["agents"]["ownership"] = json!("explicit");
        config["agents"]["entries"][id] = Value::Object(entry);
        return;
    }
    // The first agent of one's own makes the implied `main` explicit.
    let mut all = agents(profile, config);
    all.retain(|agent| agent.id != id);
    entry.insert("id".into(), json!(id));
    all.push(Agent {
        id: id.to_owned(),
        entry,
    });
    config["agents"]["list"] = all.into_iter().map(with_id).collect();
}

pub(crate) fn remove(profile: &Profile, config: &mut Value, id: &str) {
    if profile.roster_map {
        if let Some(entries) = config.pointer_mut("/agents/entries").and_then(Value::as_object_mut) {
            entries.remove(id);
        }
        return;
    }
    let mut all = agents(profile, config);
    all.retain(|agent| agent.id != id);
    config["agents"]["list"] = all.into_iter().map(with_id).collect();
}

fn with_id(mut agent: Agent) -> Value {
    agent.entry.insert("id".into(), json!(agent.id));
    Value::Object(agent.entry)
}

/// The id that `agents.create` makes of a name: lower case, everything else one dash.
pub(crate) fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for letter in name.chars().map(|letter| letter.to_ascii_lowercase()) {
        if letter.is_ascii_alphanumeric() || letter == '_' {
            slug.push(letter);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::{agents, put, remove, slug};
    use crate::gateway::profile::Profile;

    #[test]
    fn both_roster_forms_keep_main_and_take_new_agents() {
        for release in ["2026.3.13", "2026.9.6"] {
            let profile = Profile::of(release).expect("known");
            let mut config = json!({"agents": {}});
            if profile.roster_map {
                config = json!({"agents": {"entries": {"main": {}}}});
            }
            put(&profile, &mut config, "a", Map::new());
            let ids = |config: &serde_json::Value| {
                agents(&profile, config)
                    .into_iter()
                    .map(|agent| agent.id)
                    .collect::<Vec<_>>()
            };
            let mut now = ids(&config);
            now.sort();
            assert_eq!(now, ["a", "main"], "{release}: {config}");
            remove(&profile, &mut config, "a");
            assert_eq!(ids(&config), ["main"]);
        }
    }

    #[test]
    fn a_slug_is_lower_case_with_single_dashes() {
        assert_eq!(slug("Alpha  One!"), "alpha-one");
        assert_eq!(slug("mc-gateway-0b"), "mc-gateway-0b");
    }
}
