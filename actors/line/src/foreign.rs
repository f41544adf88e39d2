//! Code of the host, in a guard: its panic is an answer like another.
//!
//! Code of the host that is polled within a task (a [`Connector`](crate::Connector), a store) needs none: its panic ends the task's
//! turn, and the task is supervised. Code that is called in the middle of a line's own steps needs one.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tracing::guard;
use windlass_protocol::Secret;

use crate::tokens::{DeviceTokenStore, TokenKey, TokenStoreError};
use crate::{Clock, TokioClock};

/// A host's store of device tokens: where it panics, it holds no token, or could not keep one.
pub(crate) struct GuardedTokens(pub(crate) Arc<dyn DeviceTokenStore>);

fn panicked() -> Result<(), TokenStoreError> {
    Err(TokenStoreError("the store of device tokens panicked".to_owned()))
}

impl DeviceTokenStore for GuardedTokens {
    fn is_in_memory(&self) -> bool {
        guard(|| self.0.is_in_memory()).unwrap_or(false)
    }

    fn load(&self, key: &TokenKey) -> Option<Secret> {
        guard(|| self.0.load(key)).flatten()
    }

    fn store(&self, key: &TokenKey, token: &Secret) -> Result<(), TokenStoreError> {
        guard(|| self.0.store(key, token)).unwrap_or_else(panicked)
    }

    fn clear(&self, key: &TokenKey) -> Result<(), TokenStoreError> {
        guard(|| self.0.clear(key)).unwrap_or_else(panicked)
    }
}

/// A host's clock: where it panics, the runtime's is looked at.
#[derive(Debug)]
pub struct GuardedClock<C> {
    clock: C,
    instead: TokioClock,
}

impl<C: Clock> GuardedClock<C> {
    /// Puts a guard around a clock.
    pub fn new(clock: C) -> Self {
        let instead = TokioClock::start();
        Self { clock, instead }
    }
}

impl<C: Clock> Clock for GuardedClock<C> {
    fn now(&self) -> Instant {
        guard(|| self.clock.now()).unwrap_or_else(|| self.instead.now())
    }

    fn wall(&self) -> SystemTime {
        guard(|| self.clock.wall()).unwrap_or_else(|| self.instead.wall())
    }
}
