//! Agents: identity, status and deadlines.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use windlass_protocol::{AgentId, AgentIdentity, SessionKey};

use super::named;
use super::run::RunKind;
use crate::backend::{self, check};
use crate::error::StoreError;
use crate::limits;
use crate::token::TokenHash;
use crate::values::{AgentUid, BoardId, GatewayUid, Timestamp};

/// An agent that was not seen for longer is shown as offline.
pub const OFFLINE_AFTER: Duration = Duration::from_secs(10 * 60);

/// Activity on a gateway's events is written down at most this often for each agent, so that a busy agent does not cost a
/// transaction an event; a tenth of [`OFFLINE_AFTER`].
pub const TOUCH_INTERVAL: Duration = Duration::from_secs(60);

named! {
    /// The status of an agent.
    AgentStatus, "agent status" {
        /// On its way to the gateway, or never seen there.
        Provisioning = "provisioning",
        /// Provisioned, and not seen since: it was not woken, or it was woken and no deadline waits for its answer. Shown only, never
        /// stored.
        Provisioned = "provisioned",
        /// Being brought up to date.
        Updating = "updating",
        /// At work.
        Online = "online",
        /// Not answering.
        Offline = "offline",
        /// On its way out.
        Deleting = "deleting",
    }
}

named! {
    /// The role of an agent.
    AgentRole, "agent role" {
        /// The gateway's own agent.
        Main = "main",
        /// Leads a board.
        Lead = "lead",
        /// Works on a board.
        Worker = "worker",
    }
}

named! {
    /// The party that creates an agent.
    Creator, "creator" {
        /// A person: no limit.
        Operator = "operator",
        /// A board's lead: at most the board's `max_agents` workers.
        Lead = "lead",
    }
}

/// An agent's own file, in place of the file that its role's template makes.
///
/// A template sees every variable of the agent, its token among them. Only text of the operator may be a template: text of
/// agents, users and gateways is [`FileOverride::Text`], and is never rendered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileOverride {
    /// The source of a template.
    Template(String),
    /// The file itself, as it is.
    Text(String),
}

impl FileOverride {
    /// The source or the text.
    pub fn content(&self) -> &str {
        match self {
            Self::Template(content) | Self::Text(content) => content,
        }
    }
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agent {
    /// Its id.
    pub id: AgentUid,
    /// The gateway on which it lives.
    pub gateway_id: GatewayUid,
    /// Its board; none for the gateway's own agent.
    pub board_id: Option<BoardId>,
    /// Whether it leads its board.
    pub is_board_lead: bool,
    /// Its name: unique, ignoring case, on its board, and among the gateway's agents that lead no board.
    pub name: String,
    /// Its stored status; see [`Agent::shown_status`].
    pub status: AgentStatus,
    /// Its session on the gateway.
    pub session_key: SessionKey,
    /// The hash of its token.
    #[serde(skip)]
    pub token_hash: Option<TokenHash>,
    /// The hash of the token that is being given to it; both are good until this takes the other's place.
    #[serde(skip)]
    pub next_token_hash: Option<TokenHash>,
    /// Its own heartbeat settings.
    pub heartbeat: Map<String, Value>,
    /// Its identity: role, emoji, purpose and the like.
    pub identity: BTreeMap<String, String>,
    /// Its own IDENTITY.md, in place of the role's template.
    pub identity_override: Option<FileOverride>,
    /// Its own SOUL.md, in place of the role's template.
    pub soul_override: Option<FileOverride>,
    /// The time at which a run was requested.
    pub provision_requested_at: Option<Timestamp>,
    /// The kind of the requested run.
    pub provision_action: Option<RunKind>,
    /// The time at which it was last seen.
    pub last_seen_at: Option<Timestamp>,
    /// Counts its runs.
    pub lifecycle_generation: u64,
    /// Wakes with a deadline since it was last seen.
    pub wake_attempts: u32,
    /// The time of its last wake.
    pub last_wake_sent_at: Option<Timestamp>,
    /// The deadline of its check-in.
    pub checkin_deadline_at: Option<Timestamp>,
    /// The last error of a run; cut to [`limits::MESSAGE_CHARS`].
    pub last_provision_error: Option<String>,
    /// The time at which the record was made.
    pub created_at: Timestamp,
    /// Counts its changes, from 1; the store sets it.
    pub revision: u64,
}

/// A sign of life of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckIn {
    /// The time of it.
    pub at: Timestamp,
    /// The status that it reports; `None` means online.
    pub status: Option<AgentStatus>,
}

/// A selection of agents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentFilter {
    /// Those of this gateway only.
    pub gateway: Option<GatewayUid>,
    /// Those of this board only.
    pub board: Option<BoardId>,
    /// Those in this role only.
    pub role: Option<AgentRole>,
}

impl Agent {
    /// A gateway's own agent.
    pub fn new_main(id: AgentUid, gateway: GatewayUid, name: impl Into<String>, at: Timestamp) -> Self {
        Self::new(id, gateway, None, false, name.into(), at)
    }

    /// A board's lead.
    pub fn new_lead(id: AgentUid, gateway: GatewayUid, board: BoardId, name: impl Into<String>, at: Timestamp) -> Self {
        Self::new(id, gateway, Some(board), true, name.into(), at)
    }

    /// A board's worker.
    pub fn new_worker(
        id: AgentUid,
        gateway: GatewayUid,
        board: BoardId,
        name: impl Into<String>,
        at: Timestamp,
    ) -> Self {
        Self::new(id, gateway, Some(board), false, name.into(), at)
    }

    fn new(
        id: AgentUid,
        gateway_id: GatewayUid,
        board_id: Option<BoardId>,
        is_board_lead: bool,
        name: String,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            gateway_id,
            board_id,
            is_board_lead,
            name,
            status: AgentStatus::Provisioning,
            session_key: identity(id, gateway_id, board_id, is_board_lead).session_key(),
            token_hash: None,
            next_token_hash: None,
            heartbeat: Map::new(),
            identity: BTreeMap::new(),
            identity_override: None,
            soul_override: None,
            provision_requested_at: None,
            provision_action: None,
            last_seen_at: None,
            lifecycle_generation: 0,
            wake_attempts: 0,
            last_wake_sent_at: None,
            checkin_deadline_at: None,
            last_provision_error: None,
            created_at,
            revision: 0,
        }
    }

    /// Its role.
    pub fn role(&self) -> AgentRole {
        match self.board_id {
            None => AgentRole::Main,
            Some(_) if self.is_board_lead => AgentRole::Lead,
            Some(_) => AgentRole::Worker,
        }
    }

    /// Its identity on the gateway, made of the ids of its record.
    pub fn identity_on_gateway(&self) -> AgentIdentity {
        identity(self.id, self.gateway_id, self.board_id, self.is_board_lead)
    }

    /// Its id on the gateway: second part of its session key.
    pub fn agent_id(&self) -> AgentId {
        self.session_key
            .agent_id()
            .unwrap_or_else(|| self.identity_on_gateway().agent_id())
    }

    /// Whether `token` is its token, or the one that is being given to it. Takes the same time for both.
    pub fn knows_token(&self, token: &str) -> bool {
        let is = |hash: &Option<TokenHash>| hash.as_ref().is_some_and(|hash| hash.verify(token));
        is(&self.token_hash) | is(&self.next_token_hash)
    }

    /// The status to show:
    ///
    /// * `updating`, `deleting` and `offline` as stored;
    /// * `provisioning` until the first run is over, then `provisioned` until the agent is seen;
    /// * `provisioned` if it was woken since it was last seen and no deadline waits for its answer;
    /// * `offline` if it was not seen for more than [`OFFLINE_AFTER`].
    pub fn shown_status(&self, now: Timestamp) -> AgentStatus {
        match (self.status, self.last_seen_at) {
            (busy @ (AgentStatus::Updating | AgentStatus::Deleting | AgentStatus::Offline), _) => busy,
            (AgentStatus::Provisioning, None) => AgentStatus::Provisioning,
            (_, None) => AgentStatus::Provisioned,
            (AgentStatus::Online, _) if self.wake_is_unwatched() => AgentStatus::Provisioned,
            (_, Some(seen)) if now.saturating_duration_since(seen) > OFFLINE_AFTER => AgentStatus::Offline,
            (status, Some(_)) => status,
        }
    }

    /// Whether it was woken since it was last seen, and no deadline waits for its answer.
    fn wake_is_unwatched(&self) -> bool {
        self.checkin_deadline_at.is_none() && self.last_wake_sent_at > self.last_seen_at
    }

    /// Checks the fields, before it is written.
    pub fn check(&self) -> Result<(), StoreError> {
        check::name("agent.name", &self.name, limits::NAME_CHARS)?;
        check_file("agent.identity_override", self.identity_override.as_ref())?;
        check_file("agent.soul_override", self.soul_override.as_ref())?;
        check::json("agent.heartbeat", &self.heartbeat)?;
        if self.is_board_lead && self.board_id.is_none() {
            return Err(StoreError::invalid(
                "agent.board_id",
                "is missing, but the agent is to lead a board",
            ));
        }
        if self.identity.len() > limits::IDENTITY_ENTRIES {
            let why = format!("has more than {} entries", limits::IDENTITY_ENTRIES);
            return Err(StoreError::invalid("agent.identity", why));
        }
        for (key, value) in &self.identity {
            check::name("agent.identity", key, limits::NAME_CHARS)?;
            check::chars("agent.identity", value, limits::TEXT_CHARS)?;
        }
        Ok(())
    }

    /// Whether the update claims no unique property (name, session, place on a board) beyond those of `stored`.
    pub fn claims_no_more_than(&self, stored: &Self) -> bool {
        let claims = |agent: &Self| (agent.gateway_id, agent.board_id, agent.is_board_lead);
        claims(self) == claims(stored) && self.name == stored.name && self.session_key == stored.session_key
    }

    /// The record to store, at `revision`.
    pub fn kept(&self, revision: u64) -> Self {
        let last_provision_error = self.last_provision_error.as_deref().map(backend::cut);
        Self {
            last_provision_error,
            revision,
            ..self.clone()
        }
    }

    /// Applies a check-in. `false` when the agent is being deleted: then nothing has changed.
    pub fn checked_in(&mut self, check_in: &CheckIn) -> bool {
        if self.status == AgentStatus::Deleting {
            return false;
        }
        self.last_seen_at = self.last_seen_at.max(Some(check_in.at));
        self.wake_attempts = 0;
        self.checkin_deadline_at = None;
        self.last_provision_error = None;
        self.status = check_in.status.unwrap_or(AgentStatus::Online);
        self.revision += 1;
        true
    }

    /// Applies activity that was seen on the gateway's events. Whether it changed the agent.
    pub fn touched(&mut self, at: Timestamp) -> bool {
        let is_new = self.last_seen_at.is_none_or(|seen| at > seen);
        // What it did before it was woken is no answer to the wake.
        let answers = self.checkin_deadline_at.is_some() && self.last_wake_sent_at.is_none_or(|wake| at >= wake);
        let is_late = self
            .last_seen_at
            .is_none_or(|seen| at.saturating_duration_since(seen) >= TOUCH_INTERVAL);
        let is_back = is_new && self.status == AgentStatus::Offline;
        // An answer may come before the run that woke it is written down as done, and the deadline with it.
        let may_answer = is_new && self.provision_action.is_some();
        if answers || is_back || ((is_late || may_answer) && self.checkin_deadline_at.is_none()) {
            return self.checked_in(&CheckIn { at, status: None });
        }
        false
    }

    /// Whether its deadline is reached at `now`.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Its deadline, unless it is being deleted.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.checkin_deadline_at
            .filter(|_| self.status != AgentStatus::Deleting)
    }
}

fn check_file(field: &'static str, file: Option<&FileOverride>) -> Result<(), StoreError> {
    file.map_or(Ok(()), |file| {
        check::bytes(field, file.content(), limits::TEMPLATE_BYTES)
    })
}

fn identity(id: AgentUid, gateway: GatewayUid, board: Option<BoardId>, is_lead: bool) -> AgentIdentity {
    match board {
        None => AgentIdentity::GatewayMain(gateway.uuid()),
        Some(board) if is_lead => AgentIdentity::BoardLead(board.uuid()),
        Some(_) => AgentIdentity::Worker(id.uuid()),
    }
}

impl CheckIn {
    /// Checks the fields, before it is written.
    pub fn check(&self) -> Result<(), StoreError> {
        match self.status {
            Some(AgentStatus::Deleting) => Err(StoreError::invalid(
                "check_in.status",
                "is deleting: start a run for that",
            )),
            Some(AgentStatus::Provisioned) => Err(StoreError::invalid(
                "check_in.status",
                "is provisioned: an agent that checks in is seen",
            )),
            _ => Ok(()),
        }
    }
}

impl AgentFilter {
    /// Whether the filter takes it.
    pub fn takes(&self, agent: &Agent) -> bool {
        self.gateway.is_none_or(|id| agent.gateway_id == id)
            && self.board.is_none_or(|id| agent.board_id == Some(id))
            && self.role.is_none_or(|role| agent.role() == role)
    }
}
