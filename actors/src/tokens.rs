//! Where device tokens are kept.
//!
//! A gateway hands a paired device a token of its own in hello-ok; with it the device connects without the gateway's
//! shared token.

use std::fmt;

use dashmap::DashMap;
use windlass_protocol::{GatewayId, Secret};

/// Keeps one device token per gateway. Called on the machine's thread at each hello-ok that carries a token, so it
/// must not block for long: a small local file is fine, a network is not.
pub trait DeviceTokenStore: Send + Sync + 'static {
    /// The token kept for a gateway.
    fn load(&self, gateway: &GatewayId) -> Option<Secret>;
    /// Keeps a token, in place of an older one.
    ///
    /// # Errors
    /// When it can't be kept; the line goes on without, and logs it.
    fn store(&self, gateway: &GatewayId, token: &Secret) -> Result<(), TokenStoreError>;
    /// Forgets a token that the gateway does not take any more.
    ///
    /// # Errors
    /// When it can't be forgotten.
    fn clear(&self, gateway: &GatewayId) -> Result<(), TokenStoreError>;
}

/// A device token could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the device token of a gateway could not be kept: {0}")]
pub struct TokenStoreError(pub String);

/// Keeps device tokens for the life of the process.
#[derive(Default)]
pub struct MemoryTokens(DashMap<GatewayId, Secret>);

impl fmt::Debug for MemoryTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryTokens({})", self.0.len())
    }
}

impl DeviceTokenStore for MemoryTokens {
    fn load(&self, gateway: &GatewayId) -> Option<Secret> {
        self.0.get(gateway).map(|token| token.value().clone())
    }

    fn store(&self, gateway: &GatewayId, token: &Secret) -> Result<(), TokenStoreError> {
        self.0.insert(gateway.clone(), token.clone());
        Ok(())
    }

    fn clear(&self, gateway: &GatewayId) -> Result<(), TokenStoreError> {
        self.0.remove(gateway);
        Ok(())
    }
}
