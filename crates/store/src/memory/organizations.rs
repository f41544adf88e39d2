//! Organizations, gateways and boards in memory.

use std::cmp::Reverse;

use async_trait::async_trait;

use super::{MemoryStore, Tables, listed};
use crate::backend;
use crate::error::StoreError;
use crate::record::{Board, BoardFilter, Gateway, Organization};
use crate::traits::{Boards, Gateways, Organizations};
use crate::values::{BoardId, GatewayUid, OrganizationId};

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

impl Tables {
    pub(super) fn needs_organization(&self, id: OrganizationId) -> Result<(), StoreError> {
        if self.organizations.contains_key(&id) {
            Ok(())
        } else {
            Err(StoreError::unknown("organization", id))
        }
    }

    /// Checks a gateway against the other records: its organization exists, and its name is free.
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

impl Tables {
    /// Checks a board against the other records: its organization and gateway exist, and its name is free.
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
        tables.board_memory.retain(|entry| entry.board_id != id);
        Ok(tables.boards.remove(&id).is_some())
    }
}
