//! The expected texts of an agent's files, made without the provisioner, and their actual texts.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use windlass::store::{Agent, AgentRole};
use windlass_templates::{
    AgentVariables, AuthToken, BoardRuleVariables, BoardVariables, Content, IdentityVariables, Layout, Overrides,
    Placement, TemplateRole, Templates, UserVariables, Variables, tool_values,
};

use super::{Bench, Team, team::offers};
use crate::scenario::{Failure, check, check_eq};

/// The files of one agent on the gateway.
pub(in super::super) struct Workspace {
    /// The texts of its files, by name.
    pub(in super::super) files: BTreeMap<String, String>,
    /// The scratch text, if the gateway stores it apart from the files.
    pub(in super::super) scratch: Option<String>,
    /// Where things go on this gateway.
    pub(in super::super) layout: Layout,
}

impl Workspace {
    /// Reads all of it.
    pub(in super::super) async fn read(bench: &Bench, agent: &Agent) -> Result<Self, Failure> {
        let id = agent.agent_id().to_string();
        let list = bench.ask("agents.files.list", json!({"agentId": id})).await?;
        let listed = list["files"].as_array().cloned().unwrap_or_default();
        let names: Vec<&str> = listed.iter().filter_map(|file| file["name"].as_str()).collect();
        let mut files = BTreeMap::new();
        for name in Content::ALL.map(Content::file_name) {
            if let Some(text) = file(bench, &id, name).await? {
                files.insert(name.to_owned(), text);
            }
        }
        let has_scratch = offers(bench, "cron.scratch.get")?;
        Ok(Self {
            files,
            scratch: if has_scratch { scratch(bench, &id).await? } else { None },
            layout: Layout::of(&names, has_scratch),
        })
    }

    /// The token that the agent finds in its files; it must be the one of its record.
    pub(in super::super) fn token(&self, agent: &Agent) -> Result<String, Failure> {
        let holder = self.layout.holder_of_token();
        let text = self.files.get(holder).map_or("", String::as_str);
        let token = tool_values(text).get("AUTH_TOKEN").unwrap_or_default().to_owned();
        check(agent.knows_token(&token), || {
            format!("{}: the token in {holder} is not the one on record", agent.name)
        })?;
        Ok(token)
    }

    /// Fails unless all that should stand there does, and nothing of ours stands in another place. Tells where the
    /// tools and the heartbeat are.
    pub(in super::super) fn check(&self, team: &Team, agent: &Agent, bootstrap: bool) -> Result<(), Failure> {
        let wanted = wanted(team, agent, &self.layout, &self.token(agent)?, bootstrap)?;
        for (name, text) in &wanted.files {
            let what = format!("{name} of {}", agent.name);
            check_eq(&what, &self.files.get(name), &Some(text))?;
        }
        check_eq(&format!("scratch of {}", agent.name), &self.scratch, &wanted.scratch)?;
        let apart = self.layout.holder_of_token() == Content::Tools.file_name();
        let section = self
            .files
            .get("AGENTS.md")
            .is_some_and(|text| text.contains("\n## Tools\n"));
        check(apart != section, || {
            format!("{}: the tools are in two places or none", agent.name)
        })
    }
}

/// The text of a file. `None` if it is missing, or if the gateway takes no file of this name.
pub(in super::super) async fn file(bench: &Bench, id: &str, name: &str) -> Result<Option<String>, Failure> {
    let params = json!({"agentId": id, "name": name});
    let call = bench.gateway.call("agents.files.get", params).timeout(super::ANSWER);
    let end = call.await;
    if super::refusal(&end).is_some_and(|refused| refused.error.message.starts_with("unsupported file")) {
        return Ok(None);
    }
    let answer: Value = end?.decode()?;
    Ok(answer["file"]["content"].as_str().map(str::to_owned))
}

/// Writes a file, as an agent would do it by itself.
pub(in super::super) async fn write(bench: &Bench, agent: &Agent, name: &str, text: &str) -> Result<(), Failure> {
    let params = json!({"agentId": agent.agent_id(), "name": name, "content": text});
    bench.ask("agents.files.set", params).await.map(drop)
}

/// The scratch of the agent's heartbeat monitor.
async fn scratch(bench: &Bench, id: &str) -> Result<Option<String>, Failure> {
    let params = json!({"includeDisabled": true, "agentId": id});
    let list = bench.ask("cron.list", params).await?;
    let declared = format!("heartbeat:{id}");
    let jobs = list["jobs"].as_array().cloned().unwrap_or_default();
    let job = jobs.iter().find(|job| job["declarationKey"] == declared.as_str());
    let job = job.ok_or_else(|| Failure::new(format!("{id} has no heartbeat monitor")))?;
    let answer = bench.ask("cron.scratch.get", json!({"id": job["id"]})).await?;
    Ok(answer["scratch"]["content"].as_str().map(str::to_owned))
}

/// All that should stand there.
fn wanted(team: &Team, agent: &Agent, layout: &Layout, token: &str, bootstrap: bool) -> Result<Placement, Failure> {
    let role = match agent.role() {
        AgentRole::Main => TemplateRole::Main,
        AgentRole::Lead => TemplateRole::Lead,
        AgentRole::Worker => TemplateRole::Worker,
    };
    let rendered = Templates::shipped().render(role, &variables(team, agent, token), &Overrides::default())?;
    Ok(layout.place(&rendered, bootstrap))
}

fn variables(team: &Team, agent: &Agent, token: &str) -> Variables {
    let root = team.gateway.workspace_root.clone().unwrap_or_default();
    let owner = team.organization.owner.clone();
    Variables {
        agent: AgentVariables {
            name: agent.name.clone(),
            id: agent.id.to_string(),
            session_key: agent.session_key.to_string(),
            base_url: "https://board.example/api".to_owned(),
            auth_token: AuthToken::new(token),
            main_session_key: format!("agent:mc-gateway-{}:main", team.gateway.id),
            workspace_path: team.workspace(agent),
            workspace_root: root,
        },
        user: UserVariables {
            name: owner.name.unwrap_or_default(),
            preferred_name: owner.preferred_name.unwrap_or_default(),
            timezone: owner.timezone.unwrap_or_default(),
            notes: owner.notes.unwrap_or_default(),
            ..UserVariables::default()
        },
        identity: IdentityVariables::from_profile(&agent.identity),
        board: agent.board_id.map(|_| BoardVariables {
            id: team.board.id.to_string(),
            name: team.board.name.clone(),
            board_type: "goal".to_owned(),
            objective: team.board.objective.clone().unwrap_or_default(),
            success_metrics: team.board.success_metrics.clone(),
            target_date: String::new(),
            goal_confirmed: false,
            rules: BoardRuleVariables::default(),
        }),
    }
}
