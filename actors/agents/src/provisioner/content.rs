//! The wanted texts of an agent's files and messages: its records, through the templates. A comparison without IO says which files
//! are to be written, kept, preserved or deleted.

use std::collections::BTreeMap;

use serde::Serialize;
use windlass_protocol::config::{HeartbeatEntry, RosterAgent};
use windlass_protocol::{AgentId, AgentIdentity, SessionKey};
use windlass_store::resolver::{self, ResolveError};
use windlass_store::{
    Agent, AgentRole, AgentUid, Board, FileOverride, Gateway, GatewayUid, Organization, Store, StoreError,
};
use windlass_templates::{
    AgentVariables, AuthToken, BoardRuleVariables, BoardVariables, Content, IdentityVariables, Layout, Override,
    Overrides, Placement, Rendered, TemplateError, TemplateRole, Templates, UserVariables, Variables,
};

use super::lifecycle;
use super::request::RunOptions;
use crate::control_plane::{AgentSpec, Capabilities, Scratch};
use crate::offload::render;

/// The placeholder of a token where nothing is written: in a check of the templates, and in a plan.
pub(crate) const NO_TOKEN: &str = "not-made-yet";

/// All that the texts of one agent are made from.
pub(crate) struct Desired<'a> {
    pub(crate) templates: &'a Templates,
    pub(crate) base_url: &'a str,
    pub(crate) records: &'a AgentRecords,
    pub(crate) options: RunOptions,
    /// Whether the agent is provisioned for the first time.
    pub(crate) first: bool,
}

impl Desired<'_> {
    /// Whether all its texts can be made.
    pub(crate) async fn check(&self) -> Result<(), TemplateError> {
        self.render(NO_TOKEN).await?;
        self.wake_message("check").await.map(drop)
    }

    /// The wanted files, and the actions that lead to them.
    pub(crate) async fn files(
        &self,
        layout: &Layout,
        seen: &FilesSeen,
        token: &str,
    ) -> Result<(Placement, FilesPlan), TemplateError> {
        let role = self.records.agent.role();
        // A gateway puts a BOOTSTRAP.md of its own into a new workspace, which ours takes the place of.
        let bootstrap = self.options.force_bootstrap
            || (self.first && role == AgentRole::Lead)
            || seen.is_there(Content::Bootstrap.file_name());
        let wanted = layout.place(&self.render(token).await?, bootstrap);
        let rules = Rules {
            role: template_role(role),
            update: !self.first,
            overwrite: self.options.overwrite,
            delete_stale: role == AgentRole::Lead,
        };
        let plan = plan_files(&wanted, layout, seen, rules);
        Ok((wanted, plan))
    }

    /// The greeting that wakes the agent. The reference is found again in the session's history.
    pub(crate) async fn wake_message(&self, reference: &str) -> Result<String, TemplateError> {
        let role = template_role(self.records.agent.role());
        let bootstrap = self.first && role == TemplateRole::Lead || self.options.force_bootstrap;
        let (variables, reference) = (self.variables(NO_TOKEN), reference.to_owned());
        let is_users = self.templates.work_on_users_text(&Overrides::default());
        render(self.templates, is_users, move |templates| {
            templates.wake_message(role, &variables, &reference, bootstrap)
        })
        .await
    }

    async fn render(&self, token: &str) -> Result<Rendered, TemplateError> {
        let agent = &self.records.agent;
        let overrides = Overrides {
            identity: agent.identity_override.as_ref().map(own_file),
            soul: agent.soul_override.as_ref().map(own_file),
        };
        let (role, variables) = (template_role(agent.role()), self.variables(token));
        let is_users = self.templates.work_on_users_text(&overrides);
        render(self.templates, is_users, move |templates| {
            templates.render(role, &variables, &overrides)
        })
        .await
    }

    fn variables(&self, token: &str) -> Variables {
        let AgentRecords {
            agent,
            gateway,
            board,
            organization,
            workspace,
            workspace_root,
        } = self.records;
        Variables {
            agent: AgentVariables {
                name: agent.name.clone(),
                id: agent.id.to_string(),
                session_key: agent.session_key.to_string(),
                base_url: self.base_url.to_owned(),
                auth_token: AuthToken::new(token),
                main_session_key: AgentIdentity::GatewayMain(gateway.id.uuid()).session_key().to_string(),
                workspace_root: workspace_root.clone(),
                workspace_path: workspace.clone(),
            },
            user: organization.as_ref().map(user).unwrap_or_default(),
            identity: IdentityVariables::from_profile(&agent.identity),
            board: board.as_ref().map(board_variables),
        }
    }
}

/// The message to the gateway's own agent when another was deleted.
pub(crate) async fn cleanup_message(
    templates: &Templates,
    records: &AgentRecords,
    reference: &str,
) -> Result<String, TemplateError> {
    let (name, workspace) = (records.agent.name.clone(), records.workspace.clone());
    let is_users = templates.work_on_users_text(&Overrides::default());
    let text = render(templates, is_users, move |templates| {
        templates.cleanup_message(&name, &workspace)
    })
    .await?;
    Ok(format!("{text}\n\nref: {reference}"))
}

fn own_file(file: &FileOverride) -> Override {
    match file {
        FileOverride::Template(source) => Override::Template(source.clone()),
        FileOverride::Text(text) => Override::Text(text.clone()),
    }
}

const fn template_role(role: AgentRole) -> TemplateRole {
    match role {
        AgentRole::Main => TemplateRole::Main,
        AgentRole::Lead => TemplateRole::Lead,
        AgentRole::Worker => TemplateRole::Worker,
    }
}

fn user(organization: &Organization) -> UserVariables {
    let owner = organization.owner.clone();
    UserVariables {
        name: owner.name.unwrap_or_default(),
        preferred_name: owner.preferred_name.unwrap_or_default(),
        pronouns: owner.pronouns.unwrap_or_default(),
        timezone: owner.timezone.unwrap_or_default(),
        notes: owner.notes.unwrap_or_default(),
        context: owner.context.unwrap_or_default(),
    }
}

fn board_variables(board: &Board) -> BoardVariables {
    let rules = &board.rules;
    BoardVariables {
        id: board.id.to_string(),
        name: board.name.clone(),
        board_type: board.board_type.clone(),
        objective: board.objective.clone().unwrap_or_default(),
        success_metrics: board.success_metrics.clone(),
        target_date: board.target_date.clone().unwrap_or_default(),
        goal_confirmed: board.goal_confirmed,
        rules: BoardRuleVariables {
            require_approval_for_done: rules.require_approval_for_done,
            require_review_before_done: rules.require_review_before_done,
            comment_required_for_review: rules.comment_required_for_review,
            block_status_changes_with_pending_approval: rules.block_status_changes_with_pending_approval,
            only_lead_can_change_status: rules.only_lead_can_change_status,
        },
    }
}

/// An agent with all that belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct AgentRecords {
    pub(crate) agent: Agent,
    pub(crate) gateway: Gateway,
    pub(crate) board: Option<Board>,
    pub(crate) organization: Option<Organization>,
    /// The agent's folder on the gateway's host.
    pub(crate) workspace: String,
    /// Where folders of agents are, on the gateway's host.
    pub(crate) workspace_root: String,
}

/// StepError an agent's records don't make a whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentRecordsError {
    #[error("there is no such agent")]
    Gone,
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AgentRecords {
    pub(crate) async fn load(store: &dyn Store, agent: AgentUid) -> Result<Self, AgentRecordsError> {
        let agent = store.agent(agent).await?.ok_or(AgentRecordsError::Gone)?;
        let board = match agent.board_id {
            Some(board) => store.board(board).await?,
            None => None,
        };
        let gateway = gateway_of(store, &agent, board.as_ref()).await?;
        let organization = store.organization(gateway.organization_id).await?;
        let workspace_root = gateway
            .workspace_root
            .clone()
            .ok_or(ResolveError::WorkspaceRootMissing { gateway: gateway.id })?;
        Ok(Self {
            workspace: agent.identity_on_gateway().workspace_path(&workspace_root),
            agent,
            gateway,
            board,
            organization,
            workspace_root,
        })
    }

    /// See [`lifecycle::is_new`].
    pub(crate) const fn is_new(&self) -> bool {
        lifecycle::is_new(&self.agent)
    }

    pub(crate) fn agent_id(&self) -> AgentId {
        self.agent.agent_id()
    }

    pub(crate) const fn session(&self) -> &SessionKey {
        &self.agent.session_key
    }

    pub(crate) fn card(&self) -> AgentSpec {
        AgentSpec {
            id: self.agent_id(),
            name: self.agent.name.clone(),
            workspace: self.workspace.clone(),
        }
    }

    /// Whether the gateway has the agent's name and workspace right, as far as it lets us set them.
    pub(crate) fn matches(&self, there: &RosterAgent, capabilities: Capabilities) -> bool {
        // Without agents.update the workspace comes with the heartbeat, and there are no names.
        if !capabilities.agents {
            return true;
        }
        there.name.as_ref() == Some(&self.agent.name) && there.workspace.as_ref() == Some(&self.workspace)
    }

    pub(crate) fn heartbeat(&self) -> HeartbeatEntry {
        HeartbeatEntry {
            id: self.agent_id(),
            workspace: self.workspace.clone(),
            heartbeat: self.agent.heartbeat.clone(),
        }
    }
}

/// An agent's gateway, fit to be provisioned: one of the organization that its board belongs to.
async fn gateway_of(store: &dyn Store, agent: &Agent, board: Option<&Board>) -> Result<Gateway, AgentRecordsError> {
    let gateway = agent.gateway_id;
    let organization = match board {
        Some(board) => board.organization_id,
        None => {
            store
                .gateway(gateway)
                .await?
                .ok_or(ResolveError::GatewayUnknown { gateway })?
                .organization_id
        }
    };
    Ok(resolver::resolve_gateway(store, gateway, organization).await?)
}

/// A gateway, fit to be provisioned.
pub(crate) async fn gateway_record(store: &dyn Store, id: GatewayUid) -> Result<Gateway, ResolveError> {
    let found = store
        .gateway(id)
        .await?
        .ok_or(ResolveError::GatewayUnknown { gateway: id })?;
    resolver::resolve_gateway(store, id, found.organization_id).await
}

/// The files and the scratch on the gateway.
#[derive(Debug, Clone, Default)]
pub(crate) struct FilesSeen {
    /// Texts of the files that are there.
    pub(crate) texts: BTreeMap<String, String>,
    /// The heartbeat's instructions, where the gateway keeps them apart.
    pub(crate) scratch: Option<Scratch>,
}

impl FilesSeen {
    pub(crate) fn is_there(&self, name: &str) -> bool {
        self.texts.contains_key(name)
    }
}

/// The rules for the files that an agent may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// The role of the agent.
    pub(crate) role: TemplateRole,
    /// The agent exists already: the files that it made its own stay.
    pub(crate) update: bool,
    /// Rewrites those files, too.
    pub(crate) overwrite: bool,
    /// Files that belong to no layout of ours are deleted: true for leads.
    pub(crate) delete_stale: bool,
}

/// The action on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FileAction {
    /// It is not there yet.
    Create,
    /// It says something else.
    Rewrite,
    /// It is as it should be.
    Keep,
    /// The agent has made it its own.
    Preserve,
    /// It is of no use any more.
    Delete,
}

/// One file and its action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FilePlan {
    /// Its name.
    pub name: String,
    /// The action.
    pub action: FileAction,
}

impl FilePlan {
    /// Whether something is written or deleted.
    pub(crate) const fn is_change(&self) -> bool {
        matches!(
            self.action,
            FileAction::Create | FileAction::Rewrite | FileAction::Delete
        )
    }
}

/// The actions on an agent's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FilesPlan {
    /// Each file that matters, by name.
    pub(crate) files: Vec<FilePlan>,
    /// Whether the heartbeat's instructions are written.
    pub(crate) scratch: bool,
}

impl FilesPlan {
    /// Whether anything is written.
    pub(crate) fn any(&self) -> bool {
        self.scratch || self.files.iter().any(FilePlan::is_change)
    }
}

/// Compares the wanted files with the files on the gateway.
pub(crate) fn plan_files(wanted: &Placement, layout: &Layout, seen: &FilesSeen, rules: Rules) -> FilesPlan {
    let mut files: Vec<FilePlan> = wanted
        .files
        .iter()
        .map(|(name, text)| FilePlan {
            name: name.clone(),
            action: action(name, text, seen, rules),
        })
        .collect();
    if rules.delete_stale {
        let there: Vec<&str> = seen.texts.keys().map(String::as_str).collect();
        files.extend(layout.stale(&there).into_iter().map(|name| FilePlan {
            name,
            action: FileAction::Delete,
        }));
    }
    let scratch = wanted.scratch.as_deref().is_some_and(|wanted| {
        seen.scratch
            .as_ref()
            .is_some_and(|seen| seen.content.as_deref() != Some(wanted))
    });
    FilesPlan { files, scratch }
}

fn action(name: &str, text: &str, seen: &FilesSeen, rules: Rules) -> FileAction {
    match seen.texts.get(name) {
        None => FileAction::Create,
        Some(there) if same(there, text) => FileAction::Keep,
        Some(_) if is_the_agents_own(name, rules) => FileAction::Preserve,
        Some(_) => FileAction::Rewrite,
    }
}

/// Gateways may put a line end behind the last line, or take it away.
fn same(there: &str, wanted: &str) -> bool {
    there.trim_end() == wanted.trim_end()
}

fn is_the_agents_own(name: &str, rules: Rules) -> bool {
    let own = Content::of_file(name).is_some_and(|content| content.kept_on_update(rules.role));
    own && rules.update && !rules.overwrite
}
