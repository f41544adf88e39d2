//! Logical sends.

use async_trait::async_trait;
use serde_json::Value;

use crate::error::{OwnError, StoreError};
use crate::ownership::Ownership;
use crate::record::{Attempt, ChatSend, NewSend, SendEnd, SendFilter};
use crate::time::Timestamp;

/// Logical sends of chat messages, each under one idempotency key over all its attempts, connections and processes.
///
/// A send is begun before its first attempt and an attempt is noted before it is made: after a restart what is pending says what
/// may have arrived, where, and what never left.
#[async_trait]
pub trait Sends {
    /// Takes the right to send what is kept here, which one process has at a time, whoever runs the agents. Others may still
    /// look.
    async fn own_sends(&self) -> Result<Ownership, OwnError>;

    /// Adds a pending send, behind all that were begun before it, and gives it back with its position.
    ///
    /// [`StoreError::Exists`] when there is one with this key, ended or not; keys of pruned ones are not known any more.
    async fn begin_send(&self, send: &NewSend) -> Result<ChatSend, StoreError>;

    /// Notes that an attempt is about to be made, and gives back which one it is, from 1. The latest
    /// [`ATTEMPTS_KEPT`](crate::limits::ATTEMPTS_KEPT) are kept.
    ///
    /// [`StoreError::Unknown`] for the key, [`StoreError::SendEnded`].
    async fn note_attempt(&self, key: &str, at: Timestamp, facts: &Value) -> Result<u32, StoreError>;

    /// Notes what was learned of an attempt since, in place of its facts.
    ///
    /// [`StoreError::Unknown`] for the key or an attempt that is not kept (any more), [`StoreError::SendEnded`].
    async fn amend_attempt(&self, key: &str, number: u32, facts: &Value) -> Result<(), StoreError>;

    /// Its attempts, in order; empty also when there is no such send.
    async fn attempts(&self, key: &str) -> Result<Vec<Attempt>, StoreError>;

    /// Ends a send and gives it back. [`StoreError::Unknown`] for the key, [`StoreError::SendEnded`].
    async fn end_send(&self, key: &str, end: &SendEnd, at: Timestamp) -> Result<ChatSend, StoreError>;

    /// The one with this key.
    async fn chat_send(&self, key: &str) -> Result<Option<ChatSend>, StoreError>;

    /// Pending sends that the filter takes, after a position or from the first, in the order in which they were begun; at most
    /// `limit`, [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT) and [`SENDS_PAGE_BYTES`](crate::limits::SENDS_PAGE_BYTES). Empty means
    /// that there are no more.
    async fn pending_sends(
        &self,
        filter: &SendFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<ChatSend>, StoreError>;

    /// Deletes sends that ended before `before`, earliest first, with their attempts; at most `limit` and
    /// [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT). How many.
    async fn prune_sends(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError>;
}
