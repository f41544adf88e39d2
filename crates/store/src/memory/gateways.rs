//! Gateways in memory.

use async_trait::async_trait;

use super::{MemoryStore, Tables, listed};
use crate::backend;
use crate::error::StoreError;
use crate::id::{GatewayUid, OrganizationId};
use crate::record::Gateway;
use crate::traits::Gateways;

impl Tables {
    pub(super) fn needs_organization(&self, id: OrganizationId) -> Result<(), StoreError> {
        if self.organizations.contains_key(&id) {
            Ok(())
        } else {
            Err(StoreError::unknown("organization", id))
        }
    }

    /// Whether the gateway may be stored as it is: its organization is there, and no other gateway of it has the name.
    fn admits_gateway(&self, gateway: &Gateway) -> Result<(), StoreError> {
        self.needs_organization(gateway.organization_id)?;
        let key = backend::name_key(&gateway.name);
        let is_namesake = |other: &&Gateway| {
            other.id != gateway.id
                && other.organization_id == gateway.organization_id
                && backend::name_key(&other.name) == key
        };
        match self.gateways.values().find(is_namesake) {
            Some(other) => Err(StoreError::name_taken("gateway", &gateway.name, other.id)),
            None => Ok(()),
        }
    }

    pub(super) fn needs_gateway(&self, id: GatewayUid) -> Result<(), StoreError> {
        if self.gateways.contains_key(&id) {
            Ok(())
        } else {
            Err(StoreError::unknown("gateway", id))
        }
    }
}

#[async_trait]
impl Gateways for MemoryStore {
    async fn insert_gateway(&self, gateway: &Gateway) -> Result<(), StoreError> {
        gateway.check()?;
        let mut tables = self.tables()?;
        if tables.gateways.contains_key(&gateway.id) {
            return Err(StoreError::exists("gateway", gateway.id));
        }
        tables.admits_gateway(gateway)?;
        tables.gateways.insert(gateway.id, gateway.clone());
        Ok(())
    }

    async fn update_gateway(&self, gateway: &Gateway) -> Result<(), StoreError> {
        gateway.check()?;
        let mut tables = self.tables()?;
        tables.needs_gateway(gateway.id)?;
        tables.admits_gateway(gateway)?;
        tables.gateways.insert(gateway.id, gateway.clone());
        Ok(())
    }

    async fn gateway(&self, id: GatewayUid) -> Result<Option<Gateway>, StoreError> {
        Ok(self.tables()?.gateways.get(&id).cloned())
    }

    async fn gateways(&self, organization: Option<OrganizationId>) -> Result<Vec<Gateway>, StoreError> {
        let tables = self.tables()?;
        let found = tables
            .gateways
            .values()
            .filter(|found| organization.is_none_or(|id| found.organization_id == id));
        listed("gateways", found.cloned(), |found| (found.name.clone(), found.id))
    }

    async fn delete_gateway(&self, id: GatewayUid) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        if tables.agents.values().any(|agent| agent.gateway_id == id) {
            return Err(StoreError::InUse {
                what: "gateway",
                by: "agents",
            });
        }
        if tables.boards.values().any(|board| board.gateway_id == Some(id)) {
            return Err(StoreError::InUse {
                what: "gateway",
                by: "boards",
            });
        }
        Ok(tables.gateways.remove(&id).is_some())
    }
}
