//! Tokens of people and programs, and boards' memories, in SQLite.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use windlass_store::backend::{self, name_key};
use windlass_store::{
    ApiTokenId, ApiTokenRecord, ApiTokens, BoardMemory, BoardMemoryEntry, BoardMemoryFilter, BoardMemoryPage,
    StoreError, Timestamp,
};

use crate::SqliteStore;
use crate::rows::{self, Fields, Statement, TableRecord, Where};

impl TableRecord for ApiTokenRecord {
    const TABLE: &'static str = "api_tokens";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "name",
        "name_key",
        "role",
        "hash",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    ];

    fn bind(&self, statement: Statement) -> Result<Statement, StoreError> {
        Ok(statement
            .bind(self.id.to_string())
            .bind(self.name.clone())
            .bind(name_key(&self.name))
            .bind(self.role.as_str())
            .bind(hex(&self.hash))
            .bind(self.created_at.as_millis())
            .bind(rows::millis(self.expires_at))
            .bind(rows::millis(self.last_used_at))
            .bind(rows::millis(self.revoked_at)))
    }

    fn read(row: &Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            name: row.get("name")?,
            role: row.parsed("role")?,
            hash: unhex(row.get("hash")?).ok_or_else(|| row.damaged("hash"))?,
            created_at: row.at("created_at")?,
            expires_at: row.optional_at("expires_at")?,
            last_used_at: row.optional_at("last_used_at")?,
            revoked_at: row.optional_at("revoked_at")?,
        })
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in bytes {
        // Writing into a text does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(place * 2..place * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

async fn token(connection: &mut SqliteConnection, id: ApiTokenId) -> Result<Option<ApiTokenRecord>, StoreError> {
    rows::one(connection, Where::all().text("id =", id)).await
}

async fn insert(connection: &mut SqliteConnection, new: &ApiTokenRecord) -> Result<(), StoreError> {
    if token(connection, new.id).await?.is_some() {
        return Err(StoreError::exists("token", new.id));
    }
    let same_name = Where::all().text("name_key =", name_key(&new.name));
    if let Some(other) = rows::id_of::<ApiTokenId>(connection, ApiTokenRecord::TABLE, same_name).await? {
        return Err(StoreError::name_taken("token", &new.name, other));
    }
    rows::put(connection, new).await
}

/// Changes a token. Whether it is there.
async fn change(
    connection: &mut SqliteConnection,
    id: ApiTokenId,
    change: impl FnOnce(&mut ApiTokenRecord),
) -> Result<bool, StoreError> {
    let Some(mut found) = token(connection, id).await? else {
        return Ok(false);
    };
    change(&mut found);
    rows::put(connection, &found).await?;
    Ok(true)
}

#[async_trait]
impl ApiTokens for SqliteStore {
    async fn insert_api_token(&self, token: &ApiTokenRecord) -> Result<(), StoreError> {
        token.check()?;
        let mut write = self.connections.write().await?;
        let result = insert(write.connection(), token).await;
        write.finish(result).await
    }

    async fn api_token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiTokenRecord>, StoreError> {
        let mut read = self.connections.read().await?;
        rows::one(read.connection(), Where::all().text("hash =", hex(hash))).await
    }

    async fn api_tokens(&self) -> Result<Vec<ApiTokenRecord>, StoreError> {
        let mut read = self.connections.read().await?;
        rows::list(read.connection(), Where::all(), "name_key, id").await
    }

    async fn revoke_api_token(&self, id: ApiTokenId, at: Timestamp) -> Result<bool, StoreError> {
        let mut write = self.connections.write().await?;
        let revoke = |token: &mut ApiTokenRecord| {
            token.revoked_at.get_or_insert(at);
        };
        let result = change(write.connection(), id, revoke).await;
        write.finish(result).await
    }

    async fn touch_api_token(&self, id: ApiTokenId, at: Timestamp) -> Result<(), StoreError> {
        let mut write = self.connections.write().await?;
        let touch = |token: &mut ApiTokenRecord| token.last_used_at = token.last_used_at.max(Some(at));
        let result = change(write.connection(), id, touch).await.map(drop);
        write.finish(result).await
    }

    async fn delete_api_token(&self, id: ApiTokenId) -> Result<bool, StoreError> {
        let mut write = self.connections.write().await?;
        let result = rows::delete(write.connection(), ApiTokenRecord::TABLE, Where::all().text("id =", id)).await;
        Ok(write.finish(result).await? > 0)
    }
}

impl TableRecord for BoardMemoryEntry {
    const TABLE: &'static str = "board_memory";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "board_id",
        "content",
        "tags",
        "is_chat",
        "source",
        "agent_id",
        "created_at",
    ];

    fn bind(&self, statement: Statement) -> Result<Statement, StoreError> {
        Ok(statement
            .bind(self.id.to_string())
            .bind(self.board_id.to_string())
            .bind(self.content.clone())
            .bind(rows::json("memory.tags", &self.tags)?)
            .bind(i64::from(self.is_chat()))
            .bind(self.source.clone())
            .bind(self.agent_id.map(|id| id.to_string()))
            .bind(self.created_at.as_millis()))
    }

    fn read(row: &Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            board_id: row.parsed("board_id")?,
            content: row.get("content")?,
            tags: row.json("tags")?,
            source: row.get("source")?,
            agent_id: row.optional("agent_id")?,
            created_at: row.at("created_at")?,
        })
    }
}

async fn insert_entry(connection: &mut SqliteConnection, entry: &BoardMemoryEntry) -> Result<(), StoreError> {
    let boards = Where::all().text("id =", entry.board_id);
    if rows::count(connection, "boards", boards).await? == 0 {
        return Err(StoreError::unknown("board", entry.board_id));
    }
    let same = Where::all().text("id =", entry.id);
    if rows::count(connection, BoardMemoryEntry::TABLE, same).await? > 0 {
        return Err(StoreError::exists("memory entry", entry.id));
    }
    rows::put(connection, entry).await
}

fn which(filter: &BoardMemoryFilter) -> Where {
    let of_board = Where::all().text("board_id =", filter.board);
    match filter.is_chat {
        Some(is_chat) => of_board.number("is_chat =", i64::from(is_chat)),
        None => of_board,
    }
}

#[async_trait]
impl BoardMemory for SqliteStore {
    async fn remember(&self, entry: &BoardMemoryEntry) -> Result<(), StoreError> {
        entry.check()?;
        let mut write = self.connections.write().await?;
        let result = insert_entry(write.connection(), entry).await;
        write.finish(result).await
    }

    async fn board_memory(
        &self,
        filter: &BoardMemoryFilter,
        offset: u64,
        limit: usize,
    ) -> Result<BoardMemoryPage, StoreError> {
        let mut read = self.connections.read().await?;
        let total = rows::count(read.connection(), BoardMemoryEntry::TABLE, which(filter)).await?;
        let limit = backend::page_size(limit);
        let offset = offset.min(total);
        let newest = which(filter).then(format!("ORDER BY position DESC LIMIT {limit} OFFSET {offset}"));
        let entries = rows::select(read.connection(), newest).await?;
        Ok(BoardMemoryPage { entries, total })
    }
}
