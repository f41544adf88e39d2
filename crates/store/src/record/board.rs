//! Boards: a goal, rules, and room for a lead and workers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::backend::check;
use crate::error::StoreError;
use crate::id::{BoardId, GatewayUid, OrganizationId};
use crate::limits;
use crate::time::Timestamp;

/// A board.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Board {
    /// Its id.
    pub id: BoardId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The gateway on which its agents live.
    pub gateway_id: Option<GatewayUid>,
    /// Its name: unique in its organization, in whatever letters.
    pub name: String,
    /// What sort of board it is; `goal` unless said otherwise.
    pub board_type: String,
    /// What it is for.
    pub objective: Option<String>,
    /// How success is measured.
    pub success_metrics: Option<Map<String, Value>>,
    /// Until when, as the owner wrote it.
    pub target_date: Option<String>,
    /// Whether the owner has confirmed the goal.
    pub goal_confirmed: bool,
    /// What its agents must observe.
    pub rules: BoardRules,
    /// How many workers its lead may create.
    pub max_agents: u32,
    /// Whether it is left alone by fleet operations.
    pub paused: bool,
    /// When the record was made.
    pub created_at: Timestamp,
}

/// What the agents of a board must observe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "five independent switches of a form")]
pub struct BoardRules {
    /// Nothing is done without an approval. On unless switched off.
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

/// Which boards.
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
    pub fn takes(&self, board: &Board) -> bool {
        self.organization.is_none_or(|id| board.organization_id == id)
            && self.gateway.is_none_or(|id| board.gateway_id == Some(id))
    }
}
