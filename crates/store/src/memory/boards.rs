//! Boards in memory.

use std::cmp::Reverse;

use async_trait::async_trait;

use super::{MemoryStore, Tables, listed};
use crate::backend;
use crate::error::StoreError;
use crate::id::BoardId;
use crate::record::{Board, BoardFilter};
use crate::traits::Boards;

impl Tables {
    /// Whether the board may be stored as it is: what it names is there, and no other board of its organization has the name.
    fn admits_board(&self, board: &Board) -> Result<(), StoreError> {
        self.needs_organization(board.organization_id)?;
        board.gateway_id.map_or(Ok(()), |id| self.needs_gateway(id))?;
        let key = backend::name_key(&board.name);
        let is_namesake = |other: &&Board| {
            other.id != board.id
                && other.organization_id == board.organization_id
                && backend::name_key(&other.name) == key
        };
        match self.boards.values().find(is_namesake) {
            Some(other) => Err(StoreError::name_taken("board", &board.name, other.id)),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Boards for MemoryStore {
    async fn insert_board(&self, board: &Board) -> Result<(), StoreError> {
        board.check()?;
        let mut tables = self.tables()?;
        if tables.boards.contains_key(&board.id) {
            return Err(StoreError::exists("board", board.id));
        }
        tables.admits_board(board)?;
        tables.boards.insert(board.id, board.clone());
        Ok(())
    }

    async fn update_board(&self, board: &Board) -> Result<(), StoreError> {
        board.check()?;
        let mut tables = self.tables()?;
        if !tables.boards.contains_key(&board.id) {
            return Err(StoreError::unknown("board", board.id));
        }
        tables.admits_board(board)?;
        tables.boards.insert(board.id, board.clone());
        Ok(())
    }

    async fn board(&self, id: BoardId) -> Result<Option<Board>, StoreError> {
        Ok(self.tables()?.boards.get(&id).cloned())
    }

    async fn boards(&self, filter: &BoardFilter) -> Result<Vec<Board>, StoreError> {
        let tables = self.tables()?;
        let found = tables.boards.values().filter(|board| filter.takes(board));
        listed("boards", found.cloned(), |board| (Reverse(board.created_at), board.id))
    }

    async fn delete_board(&self, id: BoardId) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        if tables.agents.values().any(|agent| agent.board_id == Some(id)) {
            return Err(StoreError::InUse {
                what: "board",
                by: "agents",
            });
        }
        Ok(tables.boards.remove(&id).is_some())
    }
}
