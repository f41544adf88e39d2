//! A store of device tokens that a scenario can look into.

use std::sync::Arc;

use windlass::{DeviceTokenStore, GatewayId, MemoryTokens, Secret, TokenStoreError};

/// Device tokens in memory; a clone is the same store.
#[derive(Clone, Default)]
pub(in super::super) struct SharedTokens(Arc<MemoryTokens>);

impl DeviceTokenStore for SharedTokens {
    fn load(&self, gateway: &GatewayId) -> Option<Secret> {
        self.0.load(gateway)
    }

    fn store(&self, gateway: &GatewayId, token: &Secret) -> Result<(), TokenStoreError> {
        self.0.store(gateway, token)
    }

    fn clear(&self, gateway: &GatewayId) -> Result<(), TokenStoreError> {
        self.0.clear(gateway)
    }
}
