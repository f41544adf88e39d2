//! Organizations in memory.

use async_trait::async_trait;

use super::{MemoryStore, listed};
use crate::error::StoreError;
use crate::id::OrganizationId;
use crate::record::Organization;
use crate::traits::Organizations;

#[async_trait]
impl Organizations for MemoryStore {
    async fn put_organization(&self, organization: &Organization) -> Result<(), StoreError> {
        organization.check()?;
        self.tables()?
            .organizations
            .insert(organization.id, organization.clone());
        Ok(())
    }

    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>, StoreError> {
        Ok(self.tables()?.organizations.get(&id).cloned())
    }

    async fn organizations(&self) -> Result<Vec<Organization>, StoreError> {
        let tables = self.tables()?;
        listed("organizations", tables.organizations.values().cloned(), |found| {
            (found.name.clone(), found.id)
        })
    }
}
