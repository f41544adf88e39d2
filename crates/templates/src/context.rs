//! From [`Variables`] to the flat names that templates see, with the rules for values.

use std::collections::BTreeMap;

use minijinja::Value;

use crate::content::TemplateRole;
use crate::error::TemplateError;
use crate::variables::{BoardVariables, DEFAULT_COMMUNICATION_STYLE, DEFAULT_EMOJI, DEFAULT_ROLE, Variables};

/// The longest value, in bytes: half of the longest rendered text, so that one value never fills it alone.
pub const MAX_VALUE: usize = 32 * 1024;

/// Every name that a template may use. `reference` and `has_bootstrap` exist in the wake message in addition.
pub const VARIABLE_NAMES: [&str; 39] = [
    "agent_id",
    "agent_name",
    "agent_role",
    "auth_token",
    "base_url",
    "board_goal_confirmed",
    "board_id",
    "board_name",
    "board_objective",
    "board_rule_block_status_changes_with_pending_approval",
    "board_rule_comment_required_for_review",
    "board_rule_only_lead_can_change_status",
    "board_rule_require_approval_for_done",
    "board_rule_require_review_before_done",
    "board_success_metrics",
    "board_target_date",
    "board_type",
    "identity_autonomy_level",
    "identity_communication_style",
    "identity_custom_instructions",
    "identity_emoji",
    "identity_output_format",
    "identity_personality",
    "identity_purpose",
    "identity_role",
    "identity_update_cadence",
    "identity_verbosity",
    "is_board_lead",
    "is_main_agent",
    "main_session_key",
    "session_key",
    "user_context",
    "user_name",
    "user_notes",
    "user_preferred_name",
    "user_pronouns",
    "user_timezone",
    "workspace_path",
    "workspace_root",
];

/// The names that exist in messages only.
const MESSAGE_NAMES: [&str; 8] = [
    "channel",
    "correlation_id",
    "has_bootstrap",
    "message",
    "reference",
    "sender",
    "source",
    "tags",
];

/// Whether the name is a variable: a text or a switch.
pub(crate) fn is_variable(name: &str) -> bool {
    VARIABLE_NAMES.contains(&name) || MESSAGE_NAMES.contains(&name)
}

/// The names and values of one rendering.
pub(crate) struct TemplateContext(BTreeMap<&'static str, Value>);

impl TemplateContext {
    pub(crate) fn empty() -> Self {
        Self(BTreeMap::new())
    }

    /// Everything in [`VARIABLE_NAMES`], each value checked by its kind.
    pub(crate) fn of(role: TemplateRole, variables: &Variables) -> Result<Self, TemplateError> {
        let mut context = Self::empty();
        context.agent(role, variables)?;
        context.user(variables)?;
        context.identity(variables)?;
        context.board(variables.board.as_ref())?;
        Ok(context)
    }

    pub(crate) fn value(self) -> Value {
        Value::from_object(self.0)
    }

    pub(crate) fn flag(&mut self, name: &'static str, value: bool) {
        self.0.insert(name, Value::from(value));
    }

    /// A value that a machine reads back: exactly as it is, or refused.
    pub(crate) fn exact(&mut self, name: &'static str, value: &str) -> Result<(), TemplateError> {
        let why = if value.len() > MAX_VALUE {
            "is too long"
        } else if value.chars().any(breaks_lines) {
            "holds a line break or another control character"
        } else if value.contains('`') || value.trim() != value {
            "holds a backtick, or blanks around it"
        } else {
            self.0.insert(name, Value::from(value));
            return Ok(());
        };
        Err(TemplateError::BadValue { variable: name, why })
    }

    /// A short text for people, put on one line.
    pub(crate) fn line(&mut self, name: &'static str, value: &str) -> Result<(), TemplateError> {
        self.text(name, value, one_line)
    }

    /// A short text with a default for "nothing said".
    fn line_or(&mut self, name: &'static str, value: &str, default: &str) -> Result<(), TemplateError> {
        let value = if value.trim().is_empty() { default } else { value };
        self.line(name, value)
    }

    /// A free text: it keeps its lines, and loses other control characters.
    pub(crate) fn free(&mut self, name: &'static str, value: &str) -> Result<(), TemplateError> {
        self.text(name, value, free_text)
    }

    fn text(&mut self, name: &'static str, value: &str, clean: fn(&str) -> String) -> Result<(), TemplateError> {
        if value.len() > MAX_VALUE {
            return Err(TemplateError::BadValue {
                variable: name,
                why: "is too long",
            });
        }
        self.0.insert(name, Value::from(clean(value)));
        Ok(())
    }

    fn agent(&mut self, role: TemplateRole, variables: &Variables) -> Result<(), TemplateError> {
        let agent = &variables.agent;
        self.line("agent_name", &agent.name)?;
        self.exact("agent_id", &agent.id)?;
        self.exact("session_key", &agent.session_key)?;
        self.exact("base_url", agent.base_url.trim_end_matches('/'))?;
        self.exact("auth_token", agent.auth_token.expose())?;
        self.exact("main_session_key", &agent.main_session_key)?;
        self.exact("workspace_root", &agent.workspace_root)?;
        self.exact("workspace_path", &agent.workspace_path)?;
        self.exact("agent_role", role.as_str())?;
        self.flag("is_board_lead", role == TemplateRole::Lead);
        self.flag("is_main_agent", role == TemplateRole::Main);
        Ok(())
    }

    fn user(&mut self, variables: &Variables) -> Result<(), TemplateError> {
        let user = &variables.user;
        self.line("user_name", &user.name)?;
        self.line("user_preferred_name", &user.preferred_name)?;
        self.line("user_pronouns", &user.pronouns)?;
        self.line("user_timezone", &user.timezone)?;
        self.free("user_notes", &user.notes)?;
        self.free("user_context", &user.context)
    }

    fn identity(&mut self, variables: &Variables) -> Result<(), TemplateError> {
        let identity = &variables.identity;
        self.line_or("identity_role", &identity.role, DEFAULT_ROLE)?;
        let style = &identity.communication_style;
        self.line_or("identity_communication_style", style, DEFAULT_COMMUNICATION_STYLE)?;
        self.line_or("identity_emoji", &identity.emoji, DEFAULT_EMOJI)?;
        self.line("identity_autonomy_level", &identity.autonomy_level)?;
        self.line("identity_verbosity", &identity.verbosity)?;
        self.line("identity_output_format", &identity.output_format)?;
        self.line("identity_update_cadence", &identity.update_cadence)?;
        self.free("identity_purpose", &identity.purpose)?;
        self.free("identity_personality", &identity.personality)?;
        self.free("identity_custom_instructions", &identity.custom_instructions)
    }

    fn board(&mut self, board: Option<&BoardVariables>) -> Result<(), TemplateError> {
        let Some(board) = board else {
            for name in VARIABLE_NAMES.into_iter().filter(|name| name.starts_with("board_")) {
                self.0.insert(name, Value::from(""));
            }
            return Ok(());
        };
        self.exact("board_id", &board.id)?;
        self.line("board_name", &board.name)?;
        self.line("board_type", &board.board_type)?;
        self.free("board_objective", &board.objective)?;
        // JSON text escapes line breaks by itself.
        let metrics = board.success_metrics.as_ref().filter(|metrics| !metrics.is_empty());
        let metrics = metrics.map(|metrics| serde_json::Value::from(metrics.clone()).to_string());
        self.line("board_success_metrics", &metrics.unwrap_or_default())?;
        self.line("board_target_date", &board.target_date)?;
        self.flag("board_goal_confirmed", board.goal_confirmed);
        let rules = board.rules;
        self.flag("board_rule_require_approval_for_done", rules.require_approval_for_done);
        self.flag(
            "board_rule_require_review_before_done",
            rules.require_review_before_done,
        );
        self.flag(
            "board_rule_comment_required_for_review",
            rules.comment_required_for_review,
        );
        let blocked = rules.block_status_changes_with_pending_approval;
        self.flag("board_rule_block_status_changes_with_pending_approval", blocked);
        self.flag(
            "board_rule_only_lead_can_change_status",
            rules.only_lead_can_change_status,
        );
        Ok(())
    }
}

/// Whether a character can end a line for any reader (control characters, Unicode's line and paragraph separator).
pub(crate) fn breaks_lines(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// The text on one line: each run of breaks becomes one blank.
fn one_line(text: &str) -> String {
    let parts = text.split(breaks_lines).map(str::trim).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

/// The text with `\n` as its only line break and without other control characters.
fn free_text(text: &str) -> String {
    let unified = text
        .replace("\r\n", "\n")
        .replace(['\r', '\u{85}', '\u{2028}', '\u{2029}'], "\n");
    let kept: String = unified
        .chars()
        .filter(|&c| matches!(c, '\n' | '\t') || !c.is_control())
        .collect();
    kept.trim().to_owned()
}
