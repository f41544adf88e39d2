//! Boards.

use async_trait::async_trait;

use crate::error::StoreError;
use crate::id::BoardId;
use crate::record::{Board, BoardFilter};

/// Boards.
#[async_trait]
pub trait Boards {
    /// Adds one. [`StoreError::Exists`], [`StoreError::Unknown`] for its organization or gateway, or [`StoreError::NameTaken`] when
    /// another board of its organization has the name, in whatever letters.
    async fn insert_board(&self, board: &Board) -> Result<(), StoreError>;

    /// Writes all of it anew. [`StoreError::Unknown`] when it, its organization or its gateway is not there;
    /// [`StoreError::NameTaken`] as in [`Boards::insert_board`].
    async fn update_board(&self, board: &Board) -> Result<(), StoreError>;

    /// The one with this id.
    async fn board(&self, id: BoardId) -> Result<Option<Board>, StoreError>;

    /// Those that the filter takes, newest first; at most [`LIST_LIMIT`](crate::limits::LIST_LIMIT).
    async fn boards(&self, filter: &BoardFilter) -> Result<Vec<Board>, StoreError>;

    /// Deletes it; `false` when it was not there. [`StoreError::InUse`] while agents are on it.
    async fn delete_board(&self, id: BoardId) -> Result<bool, StoreError>;
}
