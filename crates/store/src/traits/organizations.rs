//! Organizations.

use async_trait::async_trait;

use crate::error::StoreError;
use crate::id::OrganizationId;
use crate::record::Organization;

/// Organizations.
#[async_trait]
pub trait Organizations {
    /// Writes it, whether it is new or not.
    async fn put_organization(&self, organization: &Organization) -> Result<(), StoreError>;

    /// The one with this id.
    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>, StoreError>;

    /// All, by name; at most [`LIST_LIMIT`](crate::limits::LIST_LIMIT).
    async fn organizations(&self) -> Result<Vec<Organization>, StoreError>;
}
