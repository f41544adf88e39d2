//! Boards in memory.

use std::cmp::Reverse;

use async_trait::async_trait;

use super::{MemoryStore, Tables, listed};
use crate::error::StoreError;
use crate::id::BoardId;
use crate::record::{Board, BoardFilter};
use crate::traits::Boards;

impl Tables {
    fn needs_what_board_names(&self, board: &Board) -> Result<(), StoreError> {
        self.needs_organization(board.organization_id)?;
        board.gateway_id.map_or(Ok(()), |id| self.needs_gateway(id))
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
        tables.needs_what_board_names(board)?;
        tables.boards.insert(board.id, board.clone());
        Ok(())
    }

    async fn update_board(&self, board: &Board) -> Result<(), StoreError> {
        board.check()?;
        let mut tables = self.tables()?;
        if !tables.boards.contains_key(&board.id) {
            return Err(StoreError::unknown("board", board.id));
        }
        tables.needs_what_board_names(board)?;
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
