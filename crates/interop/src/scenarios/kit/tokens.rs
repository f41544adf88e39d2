//! A store of device tokens that a scenario can look into.

use std::sync::Arc;

use windlass::{DeviceTokenStore, MemoryTokens, Secret, TokenKey, TokenStoreError};

/// Device tokens in memory; a clone is the same store.
#[derive(Clone, Default)]
pub(in super::super) struct SharedTokens(Arc<MemoryTokens>);

impl DeviceTokenStore for SharedTokens {
    fn load(&self, key: &TokenKey) -> Option<Secret> {
        self.0.load(key)
    }

    fn store(&self, key: &TokenKey, token: &Secret) -> Result<(), TokenStoreError> {
        self.0.store(key, token)
    }

    fn clear(&self, key: &TokenKey) -> Result<(), TokenStoreError> {
        self.0.clear(key)
    }
}
