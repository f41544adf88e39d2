//! Organizations, gateways and boards in SQLite.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use windlass_store::{
    Agent, AgentUid, Board, BoardFilter, BoardId, Boards, Gateway, GatewayUid, Gateways, Organization, OrganizationId,
    Organizations, StoreError, backend,
};

use crate::SqliteStore;
use crate::rows::{self, Fields, Statement, TableRecord, Where};

impl TableRecord for Organization {
    const TABLE: &'static str = "organizations";
    const COLUMNS: &'static [&'static str] = &["id", "name", "owner"];

    fn bind(&self, statement: Statement) -> Result<Statement, StoreError> {
        let owner = rows::json("organization.owner", &self.owner)?;
        Ok(statement.bind(self.id.to_string()).bind(self.name.clone()).bind(owner))
    }

    fn read(row: &Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            name: row.get("name")?,
            owner: row.json("owner")?,
        })
    }
}

pub(crate) async fn need_organization(connection: &mut SqliteConnection, id: OrganizationId) -> Result<(), StoreError> {
    match rows::id_of::<OrganizationId>(connection, Organization::TABLE, Where::all().text("id =", id)).await? {
        Some(_) => Ok(()),
        None => Err(StoreError::unknown("organization", id)),
    }
}

#[async_trait]
impl Organizations for SqliteStore {
    async fn put_organization(&self, organization: &Organization) -> Result<(), StoreError> {
        organization.check()?;
        let mut write = self.connections.write().await?;
        let result = rows::put(write.connection(), organization).await;
        write.finish(result).await
    }

    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>, StoreError> {
        let mut read = self.connections.read().await?;
        rows::one(read.connection(), Where::all().text("id =", id)).await
    }

    async fn organizations(&self) -> Result<Vec<Organization>, StoreError> {
        let mut read = self.connections.read().await?;
        rows::list(read.connection(), Where::all(), "name, id").await
    }
}

impl TableRecord for Gateway {
    const TABLE: &'static str = "gateways";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "organization_id",
        "name",
        "name_key",
        "url",
        "token",
        "workspace_root",
        "base_url",
        "allow_insecure_tls",
        "tls_fingerprint",
        "disable_device_pairing",
        "created_at",
    ];

    fn bind(&self, statement: Statement) -> Result<Statement, StoreError> {
        Ok(statement
            .bind(self.id.to_string())
            .bind(self.organization_id.to_string())
            .bind(self.name.clone())
            .bind(backend::name_key(&self.name))
            .bind(self.url.clone())
            .bind(self.token.as_ref().map(ToString::to_string))
            .bind(self.workspace_root.clone())
            .bind(self.base_url.clone())
            .bind(self.allow_insecure_tls)
            .bind(self.tls_fingerprint.clone())
            .bind(self.disable_device_pairing)
            .bind(self.created_at.as_millis()))
    }

    fn read(row: &Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            organization_id: row.parsed("organization_id")?,
            name: row.get("name")?,
            url: row.get("url")?,
            token: row.optional("token")?,
            workspace_root: row.get("workspace_root")?,
            base_url: row.get("base_url")?,
            allow_insecure_tls: row.get("allow_insecure_tls")?,
            tls_fingerprint: row.get("tls_fingerprint")?,
            disable_device_pairing: row.get("disable_device_pairing")?,
            created_at: row.at("created_at")?,
        })
    }
}

pub(crate) async fn gateway_exists(connection: &mut SqliteConnection, id: GatewayUid) -> Result<bool, StoreError> {
    let found: Option<GatewayUid> = rows::id_of(connection, Gateway::TABLE, Where::all().text("id =", id)).await?;
    Ok(found.is_some())
}

pub(crate) async fn need_gateway(connection: &mut SqliteConnection, id: GatewayUid) -> Result<(), StoreError> {
    if gateway_exists(connection, id).await? {
        Ok(())
    } else {
        Err(StoreError::unknown("gateway", id))
    }
}

/// Whether the gateway may be stored as it is: its organization is there, and no other gateway of it has the name.
async fn admit_gateway(connection: &mut SqliteConnection, gateway: &Gateway) -> Result<(), StoreError> {
    need_organization(connection, gateway.organization_id).await?;
    let namesakes = Where::all()
        .text("id <>", gateway.id)
        .text("organization_id =", gateway.organization_id)
        .text("name_key =", backend::name_key(&gateway.name))
        .then("LIMIT 1");
    match rows::id_of::<GatewayUid>(connection, Gateway::TABLE, namesakes).await? {
        Some(by) => Err(StoreError::name_taken("gateway", &gateway.name, by)),
        None => Ok(()),
    }
}

async fn insert_gateway(connection: &mut SqliteConnection, gateway: &Gateway) -> Result<(), StoreError> {
    if gateway_exists(connection, gateway.id).await? {
        return Err(StoreError::exists("gateway", gateway.id));
    }
    admit_gateway(connection, gateway).await?;
    rows::put(connection, gateway).await
}

async fn update_gateway(connection: &mut SqliteConnection, gateway: &Gateway) -> Result<(), StoreError> {
    need_gateway(connection, gateway.id).await?;
    admit_gateway(connection, gateway).await?;
    rows::put(connection, gateway).await
}

async fn delete_gateway(connection: &mut SqliteConnection, id: GatewayUid) -> Result<bool, StoreError> {
    let on_it = || Where::all().text("gateway_id =", id).then("LIMIT 1");
    if rows::id_of::<AgentUid>(connection, Agent::TABLE, on_it())
        .await?
        .is_some()
    {
        return Err(StoreError::InUse {
            what: "gateway",
            by: "agents",
        });
    }
    if rows::id_of::<BoardId>(connection, Board::TABLE, on_it())
        .await?
        .is_some()
    {
        return Err(StoreError::InUse {
            what: "gateway",
            by: "boards",
        });
    }
    Ok(rows::delete(connection, Gateway::TABLE, Where::all().text("id =", id)).await? > 0)
}

#[async_trait]
impl Gateways for SqliteStore {
    async fn insert_gateway(&self, gateway: &Gateway) -> Result<(), StoreError> {
        gateway.check()?;
        let mut write = self.connections.write().await?;
        let result = insert_gateway(write.connection(), gateway).await;
        write.finish(result).await
    }

    async fn update_gateway(&self, gateway: &Gateway) -> Result<(), StoreError> {
        gateway.check()?;
        let mut write = self.connections.write().await?;
        let result = update_gateway(write.connection(), gateway).await;
        write.finish(result).await
    }

    async fn gateway(&self, id: GatewayUid) -> Result<Option<Gateway>, StoreError> {
        let mut read = self.connections.read().await?;
        rows::one(read.connection(), Where::all().text("id =", id)).await
    }

    async fn gateways(&self, organization: Option<OrganizationId>) -> Result<Vec<Gateway>, StoreError> {
        let mut read = self.connections.read().await?;
        let which = Where::all().optional_text("organization_id =", organization);
        rows::list(read.connection(), which, "name, id").await
    }

    async fn delete_gateway(&self, id: GatewayUid) -> Result<bool, StoreError> {
        let mut write = self.connections.write().await?;
        let result = delete_gateway(write.connection(), id).await;
        write.finish(result).await
    }
}

impl TableRecord for Board {
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

    fn bind(&self, statement: Statement) -> Result<Statement, StoreError> {
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

pub(crate) async fn find_board(connection: &mut SqliteConnection, id: BoardId) -> Result<Option<Board>, StoreError> {
    rows::one(connection, Where::all().text("id =", id)).await
}

async fn put_board(connection: &mut SqliteConnection, board: &Board, is_new: bool) -> Result<(), StoreError> {
    match (find_board(connection, board.id).await?, is_new) {
        (Some(_), true) => return Err(StoreError::exists("board", board.id)),
        (None, false) => return Err(StoreError::unknown("board", board.id)),
        _ => {}
    }
    need_organization(connection, board.organization_id).await?;
    if let Some(gateway) = board.gateway_id {
        need_gateway(connection, gateway).await?;
    }
    let namesakes = Where::all()
        .text("id <>", board.id)
        .text("organization_id =", board.organization_id)
        .text("name_key =", backend::name_key(&board.name))
        .then("LIMIT 1");
    if let Some(by) = rows::id_of::<BoardId>(connection, Board::TABLE, namesakes).await? {
        return Err(StoreError::name_taken("board", &board.name, by));
    }
    rows::put(connection, board).await
}

async fn delete_board(connection: &mut SqliteConnection, id: BoardId) -> Result<bool, StoreError> {
    let on_it = Where::all().text("board_id =", id).then("LIMIT 1");
    if rows::id_of::<AgentUid>(connection, Agent::TABLE, on_it)
        .await?
        .is_some()
    {
        return Err(StoreError::InUse {
            what: "board",
            by: "agents",
        });
    }
    Ok(rows::delete(connection, Board::TABLE, Where::all().text("id =", id)).await? > 0)
}

#[async_trait]
impl Boards for SqliteStore {
    async fn insert_board(&self, board: &Board) -> Result<(), StoreError> {
        board.check()?;
        let mut write = self.connections.write().await?;
        let result = put_board(write.connection(), board, true).await;
        write.finish(result).await
    }

    async fn update_board(&self, board: &Board) -> Result<(), StoreError> {
        board.check()?;
        let mut write = self.connections.write().await?;
        let result = put_board(write.connection(), board, false).await;
        write.finish(result).await
    }

    async fn board(&self, id: BoardId) -> Result<Option<Board>, StoreError> {
        let mut read = self.connections.read().await?;
        find_board(read.connection(), id).await
    }

    async fn boards(&self, filter: &BoardFilter) -> Result<Vec<Board>, StoreError> {
        let mut read = self.connections.read().await?;
        let which = Where::all()
            .optional_text("organization_id =", filter.organization)
            .optional_text("gateway_id =", filter.gateway);
        rows::list(read.connection(), which, "created_at DESC, id").await
    }

    async fn delete_board(&self, id: BoardId) -> Result<bool, StoreError> {
        let mut write = self.connections.write().await?;
        let result = delete_board(write.connection(), id).await;
        write.finish(result).await
    }
}
