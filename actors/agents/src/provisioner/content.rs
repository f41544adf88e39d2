//! The wanted texts of an agent's files and messages: its records, through the templates.

use windlass_protocol::AgentIdentity;
use windlass_store::{AgentRole, Board, FileOverride, Organization};
use windlass_templates::{
    AgentVariables, AuthToken, BoardRuleVariables, BoardVariables, Content, IdentityVariables, Layout, Override,
    Overrides, Placement, Rendered, TemplateError, TemplateRole, Templates, UserVariables, Variables,
};

use super::file_plan::{self, FilesPlan, Rules, Seen};
use super::records::AgentRecords;
use super::request::RunOptions;
use crate::rendering;

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
        seen: &Seen,
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
        let plan = file_plan::plan(&wanted, layout, seen, rules);
        Ok((wanted, plan))
    }

    /// The greeting that wakes the agent. The reference is found again in the session's history.
    pub(crate) async fn wake_message(&self, reference: &str) -> Result<String, TemplateError> {
        let role = template_role(self.records.agent.role());
        let bootstrap = self.first && role == TemplateRole::Lead || self.options.force_bootstrap;
        let (variables, reference) = (self.variables(NO_TOKEN), reference.to_owned());
        let is_users = self.templates.work_on_users_text(&Overrides::default());
        rendering::render(self.templates, is_users, move |templates| {
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
        rendering::render(self.templates, is_users, move |templates| {
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
    let text = rendering::render(templates, is_users, move |templates| {
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
