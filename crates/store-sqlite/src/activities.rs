//! Activities in SQLite.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use windlass_store::backend;
use windlass_store::{Activities, Activity, ActivityFilter, NewActivity, StoreError, Timestamp};

use crate::rows::{self, Fields, Record, Statement, Which};
use crate::{SqliteStore, failure};

impl Record for Activity {
    const TABLE: &'static str = "activities";
    const COLUMNS: &'static [&'static str] = &["id", "kind", "message", "agent_id", "board_id", "at"];

    fn bind<'q>(&self, statement: Statement<'q>) -> Result<Statement<'q>, StoreError> {
        Ok(statement
            .bind(self.id)
            .bind(self.kind.clone())
            .bind(self.message.clone())
            .bind(self.agent_id.map(|id| id.to_string()))
            .bind(self.board_id.map(|id| id.to_string()))
            .bind(self.at.as_millis()))
    }

    fn read(row: &Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            kind: row.get("kind")?,
            message: row.get("message")?,
            agent_id: row.optional("agent_id")?,
            board_id: row.optional("board_id")?,
            at: row.at("at")?,
        })
    }
}

/// The number after the last one ever used, also of what was pruned since.
async fn record(connection: &mut SqliteConnection, activity: &NewActivity) -> Result<Activity, StoreError> {
    let stored = activity.numbered(rows::last_number(connection, "activities").await? + 1);
    rows::put(connection, &stored).await?;
    Ok(stored)
}

async fn prune(connection: &mut SqliteConnection, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
    let sql = "DELETE FROM activities WHERE id IN (SELECT id FROM activities WHERE at < ?1 ORDER BY id LIMIT ?2)";
    let limit = i64::try_from(backend::page_size(limit)).unwrap_or(i64::MAX);
    let done = sqlx::query(sql)
        .bind(before.as_millis())
        .bind(limit)
        .execute(connection)
        .await;
    done.map(|done| done.rows_affected())
        .map_err(|error| failure::of_call(&error))
}

#[async_trait]
impl Activities for SqliteStore {
    async fn record(&self, activity: &NewActivity) -> Result<Activity, StoreError> {
        activity.check()?;
        let mut write = self.connections.write().await?;
        let result = record(write.connection(), activity).await;
        write.finish(result).await
    }

    async fn activities(
        &self,
        filter: &ActivityFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Activity>, StoreError> {
        let limit = backend::page_size(limit);
        let which = Which::all()
            .optional_text("agent_id =", filter.agent)
            .optional_text("board_id =", filter.board);
        let mut read = self.connections.read().await?;
        if let Some(after) = after {
            let next = which.number("id >", after).then(format!("ORDER BY id LIMIT {limit}"));
            return rows::select(read.connection(), next).await;
        }
        let newest = which.then(format!("ORDER BY id DESC LIMIT {limit}"));
        let mut found = rows::select(read.connection(), newest).await?;
        found.reverse();
        Ok(found)
    }

    async fn prune_activities(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut write = self.connections.write().await?;
        let result = prune(write.connection(), before, limit).await;
        write.finish(result).await
    }
}
