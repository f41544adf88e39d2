//! Organizations, and the gateways and boards that belong to them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::backend::check;
use crate::error::StoreError;
use crate::limits;
use crate::secret_source::SecretSource;
use crate::values::{BoardId, GatewayUid, OrganizationId, Timestamp};

/// An organization: owns gateways and boards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// The person that its agents work for.
    pub owner: Owner,
}

/// The profile of the person that agents work for; it becomes part of their USER.md.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Owner {
    /// The full name.
    pub name: Option<String>,
    /// How to address the person.
    pub preferred_name: Option<String>,
    /// An address.
    pub email: Option<String>,
    /// The pronouns.
    pub pronouns: Option<String>,
    /// The time zone, for example `Europe/Vienna`.
    pub timezone: Option<String>,
    /// Notes on the person.
    pub notes: Option<String>,
    /// The person's work and projects.
    pub context: Option<String>,
}

impl Organization {
    /// Checks the fields, before it is written.
    pub fn check(&self) -> Result<(), StoreError> {
        check::name("organization.name", &self.name, limits::NAME_CHARS)?;
        let owner = &self.owner;
        for (field, text, limit) in [
            ("owner.name", &owner.name, limits::SHORT_CHARS),
            ("owner.preferred_name", &owner.preferred_name, limits::SHORT_CHARS),
            ("owner.email", &owner.email, limits::SHORT_CHARS),
            ("owner.pronouns", &owner.pronouns, limits::SHORT_CHARS),
            ("owner.timezone", &owner.timezone, limits::SHORT_CHARS),
            ("owner.notes", &owner.notes, limits::TEXT_CHARS),
            ("owner.context", &owner.context, limits::TEXT_CHARS),
        ] {
            check::optional(field, text.as_ref(), limit)?;
        }
        Ok(())
    }
}

/// A gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gateway {
    /// Its id.
    pub id: GatewayUid,
    /// The organization that owns it.
    pub organization_id: OrganizationId,
    /// Its name: unique in its organization, ignoring case.
    pub name: String,
    /// `ws://` or `wss://`. May be empty until a line is opened; must not hold a token or a password.
    pub url: String,
    /// The reference to its token.
    pub token: Option<SecretSource>,
    /// The folder on the gateway's host in which agents get their workspaces; needed to provision. An absolute path of POSIX or
    /// of Windows, or one that begins with `~/`; not a root by itself, and without `.` and `..`.
    pub workspace_root: Option<String>,
    /// Where its agents reach the service that they belong to; it stands in their files. Recorded by the first run that is given
    /// one, and used by every later run that is not. Must not hold a token or a password.
    pub base_url: Option<String>,
    /// Whether a certificate without a trusted issuer is accepted.
    pub allow_insecure_tls: bool,
    /// SHA-256 of the certificate that is expected, in hex.
    pub tls_fingerprint: Option<String>,
    /// Whether to connect as a control UI, without a device.
    pub disable_device_pairing: bool,
    /// The time at which the record was made.
    pub created_at: Timestamp,
}

const WORKSPACE_ROOT: &str = "gateway.workspace_root";

impl Gateway {
    /// Checks the fields, before it is written.
    pub fn check(&self) -> Result<(), StoreError> {
        check::name("gateway.name", &self.name, limits::NAME_CHARS)?;
        check::chars("gateway.url", &self.url, limits::URL_CHARS)?;
        if holds_a_secret(&self.url) {
            return Err(StoreError::invalid(
                "gateway.url",
                "holds a user, a password or a token: give the token as a reference instead",
            ));
        }
        if let Some(root) = &self.workspace_root {
            check::chars(WORKSPACE_ROOT, root, limits::URL_CHARS)?;
            if let Some(why) = unfit_for_workspaces(root) {
                return Err(StoreError::invalid(WORKSPACE_ROOT, why));
            }
        }
        check::optional("gateway.base_url", self.base_url.as_ref(), limits::URL_CHARS)?;
        if self.base_url.as_deref().is_some_and(holds_a_secret) {
            return Err(StoreError::invalid(
                "gateway.base_url",
                "holds a user, a password or a token: it stands in the files of all agents",
            ));
        }
        check::optional(
            "gateway.tls_fingerprint",
            self.tls_fingerprint.as_ref(),
            limits::KEY_CHARS,
        )?;
        match &self.token {
            // The text is how it is stored: what does not read back must not get in.
            Some(source) if source.to_string().parse().as_ref() != Ok(source) => Err(StoreError::invalid(
                "gateway.token",
                "is not of the form env:NAME, file:/path or host:name, or is too long",
            )),
            _ => Ok(()),
        }
    }
}

/// The reason why agents can't have their workspaces in this folder, as the end of a sentence that begins with the folder; `None` if
/// they can. The gateway's host may run another system than this one. A blank path counts as none and is not judged.
pub fn unfit_for_workspaces(root: &str) -> Option<&'static str> {
    let root = root.trim();
    if root.is_empty() {
        return None;
    }
    let unfit = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '`');
    if root.chars().any(unfit) {
        return Some("holds a line break, another control character or a backtick");
    }
    let Some(inside) = below_root(root) else {
        return Some("is not absolute: give /FOLDER, ~/FOLDER or C:\\FOLDER");
    };
    let mut parts = inside.split(['/', '\\']).filter(|part| !part.is_empty()).peekable();
    if parts.peek().is_none() {
        return Some("is a root or a home, which agents would share with everything else: give a folder in it");
    }
    parts
        .any(|part| matches!(part, "." | ".."))
        .then_some("holds `.` or `..`: give the path without them")
}

/// An absolute path without its root.
fn below_root(path: &str) -> Option<&str> {
    let separator = ['/', '\\'];
    if let Some(inside) = path.strip_prefix("~") {
        return inside.is_empty().then_some(inside).or_else(|| inside.strip_prefix('/'));
    }
    let drive = path
        .strip_prefix(|c: char| c.is_ascii_alphabetic())
        .and_then(|rest| rest.strip_prefix(':'));
    if let Some(inside) = drive {
        return inside.strip_prefix(separator);
    }
    path.strip_prefix(separator)
}

/// Whether a URL has a user part, or a query that is called like a secret.
fn holds_a_secret(url: &str) -> bool {
    let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = rest
        .split_once("//")
        .map_or(rest, |(_, rest)| rest)
        .split('/')
        .next()
        .unwrap_or_default();
    let is_secret = |pair: &str| {
        let key = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
        ["token", "password", "secret", "auth", "key"]
            .iter()
            .any(|word| key.contains(word))
    };
    authority.contains('@') || query.split('&').chain(fragment.split('&')).any(is_secret)
}

/// A board.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Board {
    /// Its id.
    pub id: BoardId,
    /// The organization that owns it.
    pub organization_id: OrganizationId,
    /// The gateway on which its agents live.
    pub gateway_id: Option<GatewayUid>,
    /// Its name: unique in its organization, ignoring case.
    pub name: String,
    /// Its type; `goal` by default.
    pub board_type: String,
    /// Its objective.
    pub objective: Option<String>,
    /// The metrics of success.
    pub success_metrics: Option<Map<String, Value>>,
    /// The target date, as the owner wrote it.
    pub target_date: Option<String>,
    /// Whether the owner has confirmed the goal.
    pub goal_confirmed: bool,
    /// The rules for its agents.
    pub rules: BoardRules,
    /// Most workers that its lead may create.
    pub max_agents: u32,
    /// Whether fleet operations skip it.
    pub paused: bool,
    /// The time at which the record was made.
    pub created_at: Timestamp,
}

/// The rules for the agents of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "five independent switches of a form")]
pub struct BoardRules {
    /// Nothing is done without an approval. On by default.
    pub require_approval_for_done: bool,
    /// Nothing is done without a review.
    pub require_review_before_done: bool,
    /// A review needs a comment.
    pub comment_required_for_review: bool,
    /// No change of status while an approval is pending.
    pub block_status_changes_with_pending_approval: bool,
    /// Only the lead changes a status.
    pub only_lead_can_change_status: bool,
}

impl Default for BoardRules {
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

/// A selection of boards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoardFilter {
    /// Those of this organization only.
    pub organization: Option<OrganizationId>,
    /// Those of this gateway only.
    pub gateway: Option<GatewayUid>,
}

impl Board {
    /// A board of type `goal` with one worker and the default rules.
    pub fn new(
        id: BoardId,
        organization_id: OrganizationId,
        gateway_id: Option<GatewayUid>,
        name: impl Into<String>,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            organization_id,
            gateway_id,
            name: name.into(),
            board_type: "goal".into(),
            objective: None,
            success_metrics: None,
            target_date: None,
            goal_confirmed: false,
            rules: BoardRules::default(),
            max_agents: 1,
            paused: false,
            created_at: at,
        }
    }

    /// Checks the fields, before it is written.
    pub fn check(&self) -> Result<(), StoreError> {
        check::name("board.name", &self.name, limits::NAME_CHARS)?;
        check::name("board.board_type", &self.board_type, limits::NAME_CHARS)?;
        check::optional("board.objective", self.objective.as_ref(), limits::TEXT_CHARS)?;
        check::optional("board.target_date", self.target_date.as_ref(), limits::NAME_CHARS)?;
        check::json("board.success_metrics", &self.success_metrics)?;
        if self.max_agents > limits::MAX_AGENTS {
            return Err(StoreError::invalid(
                "board.max_agents",
                format!("is over {}", limits::MAX_AGENTS),
            ));
        }
        Ok(())
    }
}

impl BoardFilter {
    /// Whether the filter takes it.
    pub fn takes(&self, board: &Board) -> bool {
        self.organization.is_none_or(|id| board.organization_id == id)
            && self.gateway.is_none_or(|id| board.gateway_id == Some(id))
    }
}

#[cfg(test)]
mod tests;
