//! Organizations in SQLite.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use windlass_store::{Organization, OrganizationId, Organizations, StoreError};

use crate::SqliteStore;
use crate::rows::{self, Fields, Record, Statement, Which};

impl Record for Organization {
    const TABLE: &'static str = "organizations";
    const COLUMNS: &'static [&'static str] = &["id", "name", "owner"];

    fn bind<'q>(&self, statement: Statement<'q>) -> Result<Statement<'q>, StoreError> {
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

pub(super) async fn needed(connection: &mut SqliteConnection, id: OrganizationId) -> Result<(), StoreError> {
    match rows::id_of::<OrganizationId>(connection, Organization::TABLE, Which::all().text("id =", id)).await? {
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
        rows::one(read.connection(), Which::all().text("id =", id)).await
    }

    async fn organizations(&self) -> Result<Vec<Organization>, StoreError> {
        let mut read = self.connections.read().await?;
        rows::list(read.connection(), Which::all(), "name, id").await
    }
}
