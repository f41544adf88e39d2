//! The values that templates may use.

use std::collections::BTreeMap;
use std::fmt;

/// `identity_role` when the profile says nothing.
pub const DEFAULT_ROLE: &str = "Generalist";
/// `identity_communication_style` when the profile says nothing.
pub const DEFAULT_COMMUNICATION_STYLE: &str = "direct, concise, practical";
/// `identity_emoji` when the profile says nothing.
pub const DEFAULT_EMOJI: &str = ":gear:";

/// The keys of an identity profile ([`IdentityVariables::from_profile`]); the variable is `identity_<key>`.
pub const IDENTITY_KEYS: [&str; 10] = [
    "role",
    "communication_style",
    "emoji",
    "autonomy_level",
    "verbosity",
    "output_format",
    "update_cadence",
    "purpose",
    "personality",
    "custom_instructions",
];

/// Everything that a template may name, in groups; templates see flat names ([`VARIABLE_NAMES`](crate::VARIABLE_NAMES)).
///
/// Values are data: template signs in them are printed, never evaluated. They come in three kinds:
///
/// * values that a machine reads back (ids, keys, URL, token, paths) are **refused** if they hold a line break, another control
///   character, a backtick, or surrounding blanks: a silent repair would write a value that differs from the record;
/// * names and other short texts are **put on one line**, so that none can pass for a `KEY=value` line or a heading;
/// * free texts (notes, context, purpose, personality, instructions, objective) keep their lines. The shipped templates
///   print them as quotations (`| quoted`), where no line of theirs can pass for one of ours.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    /// The agent itself.
    pub agent: AgentVariables,
    /// The person it works for.
    pub user: UserVariables,
    /// Its identity.
    pub identity: IdentityVariables,
    /// Its board; a gateway's main agent has none, and every `board_*` variable is then empty text.
    pub board: Option<BoardVariables>,
}

/// The agent and how it reaches the service that runs it.
#[derive(Debug, Clone, Default)]
pub struct AgentVariables {
    /// `agent_name`.
    pub name: String,
    /// `agent_id`: the record's id, which the API knows.
    pub id: String,
    /// `session_key`.
    pub session_key: String,
    /// `base_url`: the API's address; a trailing `/` is dropped. Empty: no API, the shipped texts then name none.
    pub base_url: String,
    /// `auth_token`.
    pub auth_token: AuthToken,
    /// `main_session_key`: the session of the gateway's main agent.
    pub main_session_key: String,
    /// `workspace_root`.
    pub workspace_root: String,
    /// `workspace_path`.
    pub workspace_path: String,
}

/// The person an agent works for: `user_*`.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the variable user_<field>")]
pub struct UserVariables {
    pub name: String,
    pub preferred_name: String,
    pub pronouns: String,
    pub timezone: String,
    pub notes: String,
    pub context: String,
}

/// The identity of an agent: `identity_*`. An empty role, style or emoji means the default (`DEFAULT_ROLE`...).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the variable identity_<field>")]
pub struct IdentityVariables {
    pub role: String,
    pub communication_style: String,
    pub emoji: String,
    pub autonomy_level: String,
    pub verbosity: String,
    pub output_format: String,
    pub update_cadence: String,
    pub purpose: String,
    pub personality: String,
    pub custom_instructions: String,
}

impl IdentityVariables {
    /// Takes the known keys ([`IDENTITY_KEYS`]) of a stored profile; a missing one is empty.
    pub fn from_profile(profile: &BTreeMap<String, String>) -> Self {
        let of = |key: &str| profile.get(key).cloned().unwrap_or_default();
        Self {
            role: of("role"),
            communication_style: of("communication_style"),
            emoji: of("emoji"),
            autonomy_level: of("autonomy_level"),
            verbosity: of("verbosity"),
            output_format: of("output_format"),
            update_cadence: of("update_cadence"),
            purpose: of("purpose"),
            personality: of("personality"),
            custom_instructions: of("custom_instructions"),
        }
    }
}

/// A board: `board_*`.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the variable board_<field>")]
pub struct BoardVariables {
    pub id: String,
    pub name: String,
    pub board_type: String,
    pub objective: String,
    /// `board_success_metrics`: as JSON text; none or empty is empty text.
    pub success_metrics: Option<serde_json::Map<String, serde_json::Value>>,
    pub target_date: String,
    pub goal_confirmed: bool,
    /// `board_rule_*`.
    pub rules: BoardRuleVariables,
}

/// A board's rules: `board_rule_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the variable board_rule_<field>")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "five independent switches, as the board's record has them"
)]
pub struct BoardRuleVariables {
    pub require_approval_for_done: bool,
    pub require_review_before_done: bool,
    pub comment_required_for_review: bool,
    pub block_status_changes_with_pending_approval: bool,
    pub only_lead_can_change_status: bool,
}

impl Default for BoardRuleVariables {
    /// A new board's: approval is needed to call a task done, nothing else.
    fn default() -> Self {
        Self {
            require_approval_for_done: true,
            require_review_before_done: false,
            comment_required_for_review: false,
            block_status_changes_with_pending_approval: false,
            only_lead_can_change_status: false,
        }
    }
}

/// An agent's token on its way into the one text that carries it. `Debug` shows nothing of it; there is no `Display`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AuthToken(String);

impl AuthToken {
    /// Takes a token over.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The token itself: for rendering and comparing, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AuthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthToken(***)")
    }
}
