//! A bound on failed attempts to prove an identity, for each address.
//!
//! Each attempt with an agent's token that is not known costs a look at all agents. An address with many failures waits.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use governor::clock::{Clock as _, DefaultClock, Reference as _};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use windlass_operations::{OperationError, OperationErrorCode};

/// Failures of one address within a minute, as agents of Mission Control know it.
const FAILURES_PER_MINUTE: NonZeroU32 = NonZeroU32::new(20).expect("not zero");
/// Addresses that are remembered; beyond it those without recent failures are forgotten.
const ADDRESSES: usize = 10_000;

/// Counts failures.
#[derive(Clone)]
pub(crate) struct FailureLimiter(Arc<Limiters>);

struct Limiters {
    /// One place for each failure that an address may still have.
    failures: DefaultKeyedRateLimiter<IpAddr>,
    /// Addresses that wait, until when.
    waiting: std::sync::Mutex<std::collections::HashMap<IpAddr, governor::clock::QuantaInstant>>,
    clock: DefaultClock,
}

impl FailureLimiter {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Limiters {
            failures: RateLimiter::keyed(Quota::per_minute(FAILURES_PER_MINUTE)),
            waiting: std::sync::Mutex::default(),
            clock: DefaultClock::default(),
        }))
    }

    /// Refuses an address with too many failures.
    pub(crate) fn check(&self, parts: &Parts) -> Result<(), OperationError> {
        let address = address_of(parts);
        let now = self.0.clock.now();
        let mut waiting = self.0.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match waiting.get(&address) {
            Some(until) if *until > now => Err(too_many(Duration::from(until.duration_since(now)))),
            Some(_) => {
                waiting.remove(&address);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, parts: &Parts) {
        let address = address_of(parts);
        if let Err(not_until) = self.0.failures.check_key(&address) {
            let mut waiting = self.0.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if waiting.len() >= ADDRESSES {
                let now = self.0.clock.now();
                waiting.retain(|_, until| *until > now);
            }
            if waiting.len() < ADDRESSES {
                waiting.insert(address, not_until.earliest_possible());
            }
        }
        if self.0.failures.len() > ADDRESSES {
            self.0.failures.retain_recent();
        }
    }
}

/// The address of the other side; tests without sockets have none.
fn address_of(parts: &Parts) -> IpAddr {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip())
}

fn too_many(wait: Duration) -> OperationError {
    OperationError::new(
        OperationErrorCode::TooMany,
        "Too many requests of this address had a token that is not known",
        "Correct the token, and wait.",
    )
    .with_retry_after(wait)
}

impl fmt::Debug for FailureLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailureLimiter").finish_non_exhaustive()
    }
}
