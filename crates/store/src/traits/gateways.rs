//! Gateways.

use async_trait::async_trait;

use crate::error::StoreError;
use crate::id::{GatewayUid, OrganizationId};
use crate::record::Gateway;

/// Gateways.
#[async_trait]
pub trait Gateways {
    /// Adds one. [`StoreError::Exists`], [`StoreError::Unknown`] for its organization, or [`StoreError::NameTaken`] when another
    /// gateway of its organization has the name, in whatever letters.
    async fn insert_gateway(&self, gateway: &Gateway) -> Result<(), StoreError>;

    /// Writes all of it anew. [`StoreError::Unknown`] when it, or its organization, is not there; [`StoreError::NameTaken`] as in
    /// [`Gateways::insert_gateway`].
    async fn update_gateway(&self, gateway: &Gateway) -> Result<(), StoreError>;

    /// The one with this id.
    async fn gateway(&self, id: GatewayUid) -> Result<Option<Gateway>, StoreError>;

    /// Those of an organization, or all, by name; at most [`LIST_LIMIT`](crate::limits::LIST_LIMIT).
    async fn gateways(&self, organization: Option<OrganizationId>) -> Result<Vec<Gateway>, StoreError>;

    /// Deletes it; `false` when it was not there. [`StoreError::InUse`] while boards or agents are on it.
    async fn delete_gateway(&self, id: GatewayUid) -> Result<bool, StoreError>;
}
