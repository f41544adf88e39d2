//! Tokens of people and programs, and boards' memories, in memory.

use async_trait::async_trait;

use super::{MemoryStore, listed};
use crate::backend::name_key;
use crate::error::StoreError;
use crate::record::{ApiTokenRecord, BoardMemoryEntry, BoardMemoryFilter, BoardMemoryPage};
use crate::traits::{ApiTokens, BoardMemory};
use crate::values::{ApiTokenId, Timestamp};

#[async_trait]
impl ApiTokens for MemoryStore {
    async fn insert_api_token(&self, token: &ApiTokenRecord) -> Result<(), StoreError> {
        token.check()?;
        let mut tables = self.tables()?;
        if tables.api_tokens.contains_key(&token.id) {
            return Err(StoreError::exists("token", token.id));
        }
        let key = name_key(&token.name);
        if let Some(other) = tables.api_tokens.values().find(|other| name_key(&other.name) == key) {
            return Err(StoreError::name_taken("token", &token.name, other.id));
        }
        tables.api_tokens.insert(token.id, token.clone());
        Ok(())
    }

    async fn api_token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiTokenRecord>, StoreError> {
        let tables = self.tables()?;
        Ok(tables.api_tokens.values().find(|token| token.hash == *hash).cloned())
    }

    async fn api_tokens(&self) -> Result<Vec<ApiTokenRecord>, StoreError> {
        let tables = self.tables()?;
        listed("tokens", tables.api_tokens.values().cloned(), |token| {
            (token.name.to_lowercase(), token.id)
        })
    }

    async fn revoke_api_token(&self, id: ApiTokenId, at: Timestamp) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let Some(token) = tables.api_tokens.get_mut(&id) else {
            return Ok(false);
        };
        token.revoked_at.get_or_insert(at);
        Ok(true)
    }

    async fn touch_api_token(&self, id: ApiTokenId, at: Timestamp) -> Result<(), StoreError> {
        let mut tables = self.tables()?;
        if let Some(token) = tables.api_tokens.get_mut(&id) {
            token.last_used_at = token.last_used_at.max(Some(at));
        }
        Ok(())
    }

    async fn delete_api_token(&self, id: ApiTokenId) -> Result<bool, StoreError> {
        Ok(self.tables()?.api_tokens.remove(&id).is_some())
    }
}

#[async_trait]
impl BoardMemory for MemoryStore {
    async fn remember(&self, entry: &BoardMemoryEntry) -> Result<(), StoreError> {
        entry.check()?;
        let mut tables = self.tables()?;
        if !tables.boards.contains_key(&entry.board_id) {
            return Err(StoreError::unknown("board", entry.board_id));
        }
        if tables.board_memory.iter().any(|other| other.id == entry.id) {
            return Err(StoreError::exists("memory entry", entry.id));
        }
        tables.board_memory.push(entry.clone());
        Ok(())
    }

    async fn board_memory(
        &self,
        filter: &BoardMemoryFilter,
        offset: u64,
        limit: usize,
    ) -> Result<BoardMemoryPage, StoreError> {
        let tables = self.tables()?;
        let taken = || tables.board_memory.iter().rev().filter(|entry| filter.takes(entry));
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let page = taken().skip(offset).take(crate::backend::page_size(limit));
        Ok(BoardMemoryPage {
            entries: page.cloned().collect(),
            total: taken().count() as u64,
        })
    }
}
