//! Where device tokens are kept.
//!
//! A gateway hands a paired device a token of its own in hello-ok; with it the device connects without the gateway's
//! shared token.

mod keeper;

use std::fmt;
use std::sync::Arc;

use dashmap::DashMap;
use windlass_protocol::{GatewayId, Secret};

pub(crate) use keeper::{TOKEN_THREADS, TokenKeeper};

use crate::Endpoint;

/// The owner of a device token: a gateway at the address that issued it. A gateway that is reached at another address
/// (another scheme, host, port or path) is another one: it is not shown the token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenKey {
    /// The gateway's name in the registry.
    pub gateway: GatewayId,
    /// Where it listens.
    pub address: Endpoint,
}

impl TokenKey {
    /// The key of a gateway's token.
    pub const fn new(gateway: GatewayId, address: Endpoint) -> Self {
        Self { gateway, address }
    }
}

/// Keeps one device token per gateway and address. Its methods may block, on a slow disk for example: they are called on threads
/// for that, never on one that drives sockets, and a line goes up without waiting for its token to be kept.
pub trait DeviceTokenStore: Send + Sync + 'static {
    /// Whether no method ever waits for anything: then they are called where the line is, which costs no other thread.
    fn is_in_memory(&self) -> bool {
        false
    }
    /// The token kept for a gateway at its address.
    fn load(&self, key: &TokenKey) -> Option<Secret>;
    /// Keeps a token, in place of an older one.
    ///
    /// # Errors
    /// When it can't be kept; the line goes on without, and logs it.
    fn store(&self, key: &TokenKey, token: &Secret) -> Result<(), TokenStoreError>;
    /// Forgets a token that the gateway does not take any more.
    ///
    /// # Errors
    /// When it can't be forgotten.
    fn clear(&self, key: &TokenKey) -> Result<(), TokenStoreError>;
}

/// A device token could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the device token of a gateway could not be kept: {0}")]
pub struct TokenStoreError(pub String);

/// Keeps device tokens for the life of the process.
#[derive(Default)]
pub struct MemoryTokens(DashMap<TokenKey, Secret>);

impl fmt::Debug for MemoryTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryTokens({})", self.0.len())
    }
}

impl<T: DeviceTokenStore + ?Sized> DeviceTokenStore for Arc<T> {
    fn is_in_memory(&self) -> bool {
        (**self).is_in_memory()
    }

    fn load(&self, key: &TokenKey) -> Option<Secret> {
        (**self).load(key)
    }

    fn store(&self, key: &TokenKey, token: &Secret) -> Result<(), TokenStoreError> {
        (**self).store(key, token)
    }

    fn clear(&self, key: &TokenKey) -> Result<(), TokenStoreError> {
        (**self).clear(key)
    }
}

impl DeviceTokenStore for MemoryTokens {
    fn is_in_memory(&self) -> bool {
        true
    }

    fn load(&self, key: &TokenKey) -> Option<Secret> {
        self.0.get(key).map(|token| token.value().clone())
    }

    fn store(&self, key: &TokenKey, token: &Secret) -> Result<(), TokenStoreError> {
        self.0.insert(key.clone(), token.clone());
        Ok(())
    }

    fn clear(&self, key: &TokenKey) -> Result<(), TokenStoreError> {
        self.0.remove(key);
        Ok(())
    }
}
