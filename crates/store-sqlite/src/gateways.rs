//! Gateways in SQLite.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use windlass_store::backend;
use windlass_store::{Agent, AgentUid, Board, BoardId, Gateway, GatewayUid, Gateways, OrganizationId, StoreError};

use crate::rows::{self, Fields, Record, Statement, Which};
use crate::{SqliteStore, organizations};

impl Record for Gateway {
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

    fn bind<'q>(&self, statement: Statement<'q>) -> Result<Statement<'q>, StoreError> {
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

pub(super) async fn is_there(connection: &mut SqliteConnection, id: GatewayUid) -> Result<bool, StoreError> {
    let found: Option<GatewayUid> = rows::id_of(connection, Gateway::TABLE, Which::all().text("id =", id)).await?;
    Ok(found.is_some())
}

pub(super) async fn needed(connection: &mut SqliteConnection, id: GatewayUid) -> Result<(), StoreError> {
    if is_there(connection, id).await? {
        Ok(())
    } else {
        Err(StoreError::unknown("gateway", id))
    }
}

/// Whether the gateway may be stored as it is: its organization is there, and no other gateway of it has the name.
async fn admit(connection: &mut SqliteConnection, gateway: &Gateway) -> Result<(), StoreError> {
    organizations::needed(connection, gateway.organization_id).await?;
    let namesakes = Which::all()
        .text("id <>", gateway.id)
        .text("organization_id =", gateway.organization_id)
        .text("name_key =", backend::name_key(&gateway.name))
        .then("LIMIT 1");
    match rows::id_of::<GatewayUid>(connection, Gateway::TABLE, namesakes).await? {
        Some(by) => Err(StoreError::name_taken("gateway", &gateway.name, by)),
        None => Ok(()),
    }
}

async fn insert(connection: &mut SqliteConnection, gateway: &Gateway) -> Result<(), StoreError> {
    if is_there(connection, gateway.id).await? {
        return Err(StoreError::exists("gateway", gateway.id));
    }
    admit(connection, gateway).await?;
    rows::put(connection, gateway).await
}

async fn update(connection: &mut SqliteConnection, gateway: &Gateway) -> Result<(), StoreError> {
    needed(connection, gateway.id).await?;
    admit(connection, gateway).await?;
    rows::put(connection, gateway).await
}

async fn delete(connection: &mut SqliteConnection, id: GatewayUid) -> Result<bool, StoreError> {
    let on_it = || Which::all().text("gateway_id =", id).then("LIMIT 1");
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
    Ok(rows::delete(connection, Gateway::TABLE, Which::all().text("id =", id)).await? > 0)
}

#[async_trait]
impl Gateways for SqliteStore {
    async fn insert_gateway(&self, gateway: &Gateway) -> Result<(), StoreError> {
        gateway.check()?;
        let mut write = self.connections.write().await?;
        let result = insert(write.connection(), gateway).await;
        write.finish(result).await
    }

    async fn update_gateway(&self, gateway: &Gateway) -> Result<(), StoreError> {
        gateway.check()?;
        let mut write = self.connections.write().await?;
        let result = update(write.connection(), gateway).await;
        write.finish(result).await
    }

    async fn gateway(&self, id: GatewayUid) -> Result<Option<Gateway>, StoreError> {
        let mut read = self.connections.read().await?;
        rows::one(read.connection(), Which::all().text("id =", id)).await
    }

    async fn gateways(&self, organization: Option<OrganizationId>) -> Result<Vec<Gateway>, StoreError> {
        let mut read = self.connections.read().await?;
        let which = Which::all().optional_text("organization_id =", organization);
        rows::list(read.connection(), which, "name, id").await
    }

    async fn delete_gateway(&self, id: GatewayUid) -> Result<bool, StoreError> {
        let mut write = self.connections.write().await?;
        let result = delete(write.connection(), id).await;
        write.finish(result).await
    }
}
