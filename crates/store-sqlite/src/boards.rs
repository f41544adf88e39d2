//! Boards in SQLite.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use windlass_store::backend;
use windlass_store::{Agent, AgentUid, Board, BoardFilter, BoardId, Boards, StoreError};

use crate::rows::{self, Fields, Record, Statement, Which};
use crate::{SqliteStore, gateways, organizations};

impl Record for Board {
    const TABLE: &'static str = "boards";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "organization_id",
        "gateway_id",
        "name",
        "name_key",
        "board_type",
        "objective",
        "success_metrics",
        "target_date",
        "goal_confirmed",
        "rules",
        "max_agents",
        "paused",
        "created_at",
    ];

    fn bind<'q>(&self, statement: Statement<'q>) -> Result<Statement<'q>, StoreError> {
        let metrics = self.success_metrics.as_ref();
        let metrics = metrics
            .map(|metrics| rows::json("board.success_metrics", metrics))
            .transpose()?;
        Ok(statement
            .bind(self.id.to_string())
            .bind(self.organization_id.to_string())
            .bind(self.gateway_id.map(|id| id.to_string()))
            .bind(self.name.clone())
            .bind(backend::name_key(&self.name))
            .bind(self.board_type.clone())
            .bind(self.objective.clone())
            .bind(metrics)
            .bind(self.target_date.clone())
            .bind(self.goal_confirmed)
            .bind(rows::json("board.rules", &self.rules)?)
            .bind(i64::from(self.max_agents))
            .bind(self.paused)
            .bind(self.created_at.as_millis()))
    }

    fn read(row: &Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            organization_id: row.parsed("organization_id")?,
            gateway_id: row.optional("gateway_id")?,
            name: row.get("name")?,
            board_type: row.get("board_type")?,
            objective: row.get("objective")?,
            success_metrics: row.optional_json("success_metrics")?,
            target_date: row.get("target_date")?,
            goal_confirmed: row.get("goal_confirmed")?,
            rules: row.json("rules")?,
            max_agents: row.number("max_agents")?,
            paused: row.get("paused")?,
            created_at: row.at("created_at")?,
        })
    }
}

pub(super) async fn found(connection: &mut SqliteConnection, id: BoardId) -> Result<Option<Board>, StoreError> {
    rows::one(connection, Which::all().text("id =", id)).await
}

async fn put(connection: &mut SqliteConnection, board: &Board, is_new: bool) -> Result<(), StoreError> {
    match (found(connection, board.id).await?, is_new) {
        (Some(_), true) => return Err(StoreError::exists("board", board.id)),
        (None, false) => return Err(StoreError::unknown("board", board.id)),
        _ => {}
    }
    organizations::needed(connection, board.organization_id).await?;
    if let Some(gateway) = board.gateway_id {
        gateways::needed(connection, gateway).await?;
    }
    let namesakes = Which::all()
        .text("id <>", board.id)
        .text("organization_id =", board.organization_id)
        .text("name_key =", backend::name_key(&board.name))
        .then("LIMIT 1");
    if let Some(by) = rows::id_of::<BoardId>(connection, Board::TABLE, namesakes).await? {
        return Err(StoreError::name_taken("board", &board.name, by));
    }
    rows::put(connection, board).await
}

async fn delete(connection: &mut SqliteConnection, id: BoardId) -> Result<bool, StoreError> {
    let on_it = Which::all().text("board_id =", id).then("LIMIT 1");
    if rows::id_of::<AgentUid>(connection, Agent::TABLE, on_it)
        .await?
        .is_some()
    {
        return Err(StoreError::InUse {
            what: "board",
            by: "agents",
        });
    }
    Ok(rows::delete(connection, Board::TABLE, Which::all().text("id =", id)).await? > 0)
}

#[async_trait]
impl Boards for SqliteStore {
    async fn insert_board(&self, board: &Board) -> Result<(), StoreError> {
        board.check()?;
        let mut write = self.connections.write().await?;
        let result = put(write.connection(), board, true).await;
        write.finish(result).await
    }

    async fn update_board(&self, board: &Board) -> Result<(), StoreError> {
        board.check()?;
        let mut write = self.connections.write().await?;
        let result = put(write.connection(), board, false).await;
        write.finish(result).await
    }

    async fn board(&self, id: BoardId) -> Result<Option<Board>, StoreError> {
        let mut read = self.connections.read().await?;
        found(read.connection(), id).await
    }

    async fn boards(&self, filter: &BoardFilter) -> Result<Vec<Board>, StoreError> {
        let mut read = self.connections.read().await?;
        let which = Which::all()
            .optional_text("organization_id =", filter.organization)
            .optional_text("gateway_id =", filter.gateway);
        rows::list(read.connection(), which, "created_at DESC, id").await
    }

    async fn delete_board(&self, id: BoardId) -> Result<bool, StoreError> {
        let mut write = self.connections.write().await?;
        let result = delete(write.connection(), id).await;
        write.finish(result).await
    }
}
