//! Agents in SQLite.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use windlass_protocol::SessionKey;
use windlass_store::backend;
use windlass_store::{
    Agent, AgentFilter, AgentRole, AgentUid, Agents, CheckIn, Creator, FileOverride, GatewayUid, RunKind, StoreError,
    Timestamp, TokenHash,
};

use crate::rows::{self, Fields, Statement, TableRecord, Where};
use crate::{SqliteStore, organizations};

impl TableRecord for Agent {
    const TABLE: &'static str = "agents";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "gateway_id",
        "board_id",
        "is_board_lead",
        "name",
        "name_key",
        "status",
        "session_key",
        "token_hash",
        "next_token_hash",
        "heartbeat",
        "identity",
        "identity_template",
        "identity_text",
        "soul_template",
        "soul_text",
        "provision_requested_at",
        "provision_action",
        "last_seen_at",
        "lifecycle_generation",
        "wake_attempts",
        "last_wake_sent_at",
        "checkin_deadline_at",
        "last_provision_error",
        "created_at",
        "revision",
    ];

    fn bind(&self, statement: Statement) -> Result<Statement, StoreError> {
        let hash = |hash: &Option<TokenHash>| hash.as_ref().map(|hash| hash.as_stored().to_owned());
        Ok(statement
            .bind(self.id.to_string())
            .bind(self.gateway_id.to_string())
            .bind(self.board_id.map(|id| id.to_string()))
            .bind(self.is_board_lead)
            .bind(self.name.clone())
            .bind(backend::name_key(&self.name))
            .bind(self.status.as_str())
            .bind(self.session_key.to_string())
            .bind(hash(&self.token_hash))
            .bind(hash(&self.next_token_hash))
            .bind(rows::json("agent.heartbeat", &self.heartbeat)?)
            .bind(rows::json("agent.identity", &self.identity)?)
            .bind(template(self.identity_override.as_ref()))
            .bind(text(self.identity_override.as_ref()))
            .bind(template(self.soul_override.as_ref()))
            .bind(text(self.soul_override.as_ref()))
            .bind(rows::millis(self.provision_requested_at))
            .bind(self.provision_action.map(RunKind::as_str))
            .bind(rows::millis(self.last_seen_at))
            .bind(rows::number("agent.lifecycle_generation", self.lifecycle_generation)?)
            .bind(i64::from(self.wake_attempts))
            .bind(rows::millis(self.last_wake_sent_at))
            .bind(rows::millis(self.checkin_deadline_at))
            .bind(self.last_provision_error.clone())
            .bind(self.created_at.as_millis())
            .bind(rows::number("agent.revision", self.revision)?))
    }

    fn read(row: &Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            gateway_id: row.parsed("gateway_id")?,
            board_id: row.optional("board_id")?,
            is_board_lead: row.get("is_board_lead")?,
            name: row.get("name")?,
            status: row.parsed("status")?,
            session_key: row.parsed("session_key")?,
            token_hash: row.optional("token_hash")?,
            next_token_hash: row.optional("next_token_hash")?,
            heartbeat: row.json("heartbeat")?,
            identity: row.json("identity")?,
            identity_override: file_override(row, "identity_template", "identity_text")?,
            soul_override: file_override(row, "soul_template", "soul_text")?,
            provision_requested_at: row.optional_at("provision_requested_at")?,
            provision_action: row.optional("provision_action")?,
            last_seen_at: row.optional_at("last_seen_at")?,
            lifecycle_generation: row.number("lifecycle_generation")?,
            wake_attempts: row.number("wake_attempts")?,
            last_wake_sent_at: row.optional_at("last_wake_sent_at")?,
            checkin_deadline_at: row.optional_at("checkin_deadline_at")?,
            last_provision_error: row.get("last_provision_error")?,
            created_at: row.at("created_at")?,
            revision: row.number("revision")?,
        })
    }
}

fn template(file: Option<&FileOverride>) -> Option<String> {
    match file {
        Some(FileOverride::Template(source)) => Some(source.clone()),
        Some(FileOverride::Text(_)) | None => None,
    }
}

fn text(file: Option<&FileOverride>) -> Option<String> {
    match file {
        Some(FileOverride::Text(text)) => Some(text.clone()),
        Some(FileOverride::Template(_)) | None => None,
    }
}

/// An agent's own file: a template or a text, never both.
fn file_override(row: &Fields<'_>, template: &str, text: &str) -> Result<Option<FileOverride>, StoreError> {
    match (row.get(template)?, row.get(text)?) {
        (None, None) => Ok(None),
        (Some(source), None) => Ok(Some(FileOverride::Template(source))),
        (None, Some(text)) => Ok(Some(FileOverride::Text(text))),
        (Some(_), Some(_)) => Err(row.damaged(text)),
    }
}

pub(crate) async fn found(connection: &mut SqliteConnection, id: AgentUid) -> Result<Option<Agent>, StoreError> {
    rows::one(connection, Where::all().text("id =", id)).await
}

/// The agents that may conflict with this one.
fn others(agent: &Agent) -> Where {
    Where::all().text("id <>", agent.id).then("ORDER BY id LIMIT 1")
}

async fn other(connection: &mut SqliteConnection, which: Where) -> Result<Option<AgentUid>, StoreError> {
    rows::id_of(connection, Agent::TABLE, which).await
}

/// Checks an agent against the other records: its gateway and board exist, and no other agent has its unique properties.
async fn admit(connection: &mut SqliteConnection, agent: &Agent) -> Result<(), StoreError> {
    organizations::need_gateway(connection, agent.gateway_id).await?;
    if let Some(board) = agent.board_id
        && organizations::find_board(connection, board).await?.is_none()
    {
        return Err(StoreError::unknown("board", board));
    }
    let on_gateway = || others(agent).text("gateway_id =", agent.gateway_id);
    match (agent.role(), agent.board_id) {
        (AgentRole::Main, _) => {
            if let Some(by) = other(connection, on_gateway().holds("board_id IS NULL")).await? {
                return Err(StoreError::AlreadyHasMain {
                    gateway: agent.gateway_id,
                    by,
                });
            }
        }
        (AgentRole::Lead, Some(board)) => {
            let leads = others(agent).text("board_id =", board).holds("is_board_lead = 1");
            if let Some(by) = other(connection, leads).await? {
                return Err(StoreError::AlreadyHasLead { board, by });
            }
        }
        _ => {}
    }
    if let Some(by) = namesake(connection, agent).await? {
        return Err(StoreError::name_taken("agent", &agent.name, by));
    }
    if let Some(by) = other(connection, on_gateway().text("session_key =", &agent.session_key)).await? {
        return Err(StoreError::SessionTaken {
            key: agent.session_key.clone(),
            by,
        });
    }
    Ok(())
}

/// Another agent with the same name, where names are unique.
async fn namesake(connection: &mut SqliteConnection, agent: &Agent) -> Result<Option<AgentUid>, StoreError> {
    let named = || others(agent).text("name_key =", backend::name_key(&agent.name));
    let mut found = None;
    if let Some(board) = agent.board_id {
        found = other(connection, named().text("board_id =", board)).await?;
    }
    if found.is_none() && !agent.is_board_lead {
        found = other(
            connection,
            named()
                .text("gateway_id =", agent.gateway_id)
                .holds("is_board_lead = 0"),
        )
        .await?;
    }
    Ok(found)
}

/// Checks that a new agent fits its board.
async fn check_room(connection: &mut SqliteConnection, agent: &Agent, created_by: Creator) -> Result<(), StoreError> {
    let Some(board) = agent.board_id else { return Ok(()) };
    let Some(board) = organizations::find_board(connection, board).await? else {
        return Ok(());
    };
    if board.gateway_id != Some(agent.gateway_id) {
        return Err(StoreError::invalid(
            "agent.gateway_id",
            "is not the gateway of its board",
        ));
    }
    if created_by != Creator::Lead || agent.role() != AgentRole::Worker {
        return Ok(());
    }
    let workers = Where::all().text("board_id =", board.id).holds("is_board_lead = 0");
    if rows::count(connection, Agent::TABLE, workers).await? >= u64::from(board.max_agents) {
        return Err(StoreError::LimitReached { max: board.max_agents });
    }
    Ok(())
}

async fn insert(connection: &mut SqliteConnection, agent: &Agent, created_by: Creator) -> Result<Agent, StoreError> {
    if found(connection, agent.id).await?.is_some() {
        return Err(StoreError::exists("agent", agent.id));
    }
    admit(connection, agent).await?;
    check_room(connection, agent, created_by).await?;
    let stored = agent.kept(1);
    rows::put(connection, &stored).await?;
    Ok(stored)
}

/// Writes an agent if it is still as it was read.
pub(crate) async fn update(connection: &mut SqliteConnection, agent: &Agent) -> Result<Agent, StoreError> {
    let stored = found(connection, agent.id)
        .await?
        .ok_or_else(|| StoreError::unknown("agent", agent.id))?;
    if stored.revision != agent.revision {
        return Err(StoreError::Conflict { agent: agent.id });
    }
    if !agent.claims_no_more_than(&stored) {
        admit(connection, agent).await?;
    }
    let next = agent.kept(agent.revision + 1);
    rows::put(connection, &next).await?;
    Ok(next)
}

pub(crate) async fn delete(connection: &mut SqliteConnection, id: AgentUid) -> Result<bool, StoreError> {
    Ok(rows::delete(connection, Agent::TABLE, Where::all().text("id =", id)).await? > 0)
}

async fn check_in(
    connection: &mut SqliteConnection,
    id: AgentUid,
    check_in: &CheckIn,
) -> Result<Option<Agent>, StoreError> {
    let Some(mut agent) = found(connection, id).await? else {
        return Ok(None);
    };
    if agent.checked_in(check_in) {
        rows::put(connection, &agent).await?;
    }
    Ok(Some(agent))
}

async fn touch(connection: &mut SqliteConnection, id: AgentUid, at: Timestamp) -> Result<bool, StoreError> {
    let Some(mut agent) = found(connection, id).await? else {
        return Ok(false);
    };
    if !agent.touched(at) {
        return Ok(false);
    }
    rows::put(connection, &agent).await?;
    Ok(true)
}

/// The agents with a deadline.
fn with_deadline() -> Where {
    Where::all()
        .holds("checkin_deadline_at IS NOT NULL")
        .holds("status <> 'deleting'")
}

#[async_trait]
impl Agents for SqliteStore {
    async fn insert_agent(&self, agent: &Agent, created_by: Creator) -> Result<Agent, StoreError> {
        agent.check()?;
        let mut write = self.connections.write().await?;
        let result = insert(write.connection(), agent, created_by).await;
        write.finish(result).await
    }

    async fn update_agent(&self, agent: &Agent) -> Result<Agent, StoreError> {
        agent.check()?;
        let mut write = self.connections.write().await?;
        let result = update(write.connection(), agent).await;
        write.finish(result).await
    }

    async fn agent(&self, id: AgentUid) -> Result<Option<Agent>, StoreError> {
        let mut read = self.connections.read().await?;
        found(read.connection(), id).await
    }

    async fn agents(&self, filter: &AgentFilter) -> Result<Vec<Agent>, StoreError> {
        let mut which = Where::all()
            .optional_text("gateway_id =", filter.gateway)
            .optional_text("board_id =", filter.board);
        which = match filter.role {
            None => which,
            Some(AgentRole::Main) => which.holds("board_id IS NULL"),
            Some(AgentRole::Lead) => which.holds("board_id IS NOT NULL").holds("is_board_lead = 1"),
            Some(AgentRole::Worker) => which.holds("board_id IS NOT NULL").holds("is_board_lead = 0"),
        };
        let mut read = self.connections.read().await?;
        rows::list(read.connection(), which, "created_at, id").await
    }

    async fn delete_agent(&self, id: AgentUid) -> Result<bool, StoreError> {
        let mut write = self.connections.write().await?;
        let result = delete(write.connection(), id).await;
        write.finish(result).await
    }

    async fn agent_by_session(&self, gateway: GatewayUid, key: &SessionKey) -> Result<Option<Agent>, StoreError> {
        let mut read = self.connections.read().await?;
        rows::one(
            read.connection(),
            Where::all().text("gateway_id =", gateway).text("session_key =", key),
        )
        .await
    }

    async fn check_in(&self, id: AgentUid, said: CheckIn) -> Result<Option<Agent>, StoreError> {
        said.check()?;
        let mut write = self.connections.write().await?;
        let result = check_in(write.connection(), id, &said).await;
        write.finish(result).await
    }

    async fn touch(&self, id: AgentUid, at: Timestamp) -> Result<bool, StoreError> {
        // Most events tell nothing new: those must not wait for the disk, nor for who writes.
        if !self.agent(id).await?.is_some_and(|mut agent| agent.touched(at)) {
            return Ok(false);
        }
        let mut write = self.connections.write().await?;
        let result = touch(write.connection(), id, at).await;
        write.finish(result).await
    }

    async fn next_deadline(&self) -> Result<Option<(AgentUid, Timestamp)>, StoreError> {
        let mut read = self.connections.read().await?;
        let first = with_deadline().then("ORDER BY checkin_deadline_at, id LIMIT 1");
        let agent: Option<Agent> = rows::one(read.connection(), first).await?;
        Ok(agent.and_then(|agent| Some((agent.id, agent.deadline()?))))
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Agent>, StoreError> {
        let mut read = self.connections.read().await?;
        let due = with_deadline().number("checkin_deadline_at <=", now.as_millis());
        let order = format!("ORDER BY checkin_deadline_at, id LIMIT {}", backend::page_size(limit));
        rows::select(read.connection(), due.then(order)).await
    }
}
