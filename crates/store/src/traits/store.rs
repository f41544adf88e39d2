//! All of it.

use std::fmt::Debug;

use async_trait::async_trait;

use super::{Activities, Agents, Boards, Gateways, Journal, Organizations, Runs, Sends};
use crate::error::{OwnError, StoreError};
use crate::ownership::Ownership;

/// A store: all records, the journal, and the right to run its agents.
#[async_trait]
pub trait Store:
    Organizations + Gateways + Boards + Agents + Runs + Activities + Journal + Sends + Debug + Send + Sync + 'static
{
    /// Takes the right to run this store's agents, which one process has at a time. Others may still read and write records.
    async fn own(&self) -> Result<Ownership, OwnError>;

    /// Closes it: calls under way are finished, later ones are [`StoreError::Closed`]. Closing twice is fine. Not closing loses
    /// nothing.
    async fn close(&self) -> Result<(), StoreError>;
}
