//! Tokens that were found lately, so that a request reads no store.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use windlass_store::{AgentUid, ApiTokenRecord, Timestamp};

/// How long a token that was looked up is taken for known: a revocation counts after this time at the latest.
pub const TOKEN_CACHED: Duration = Duration::from_secs(5);
/// Tokens in the cache. A service has a few; beyond this the cache begins anew.
const TOKENS: usize = 1_024;

/// Tokens that were looked up lately.
#[derive(Default)]
pub(crate) struct TokenCache(Mutex<HashMap<[u8; 32], CachedToken>>);

/// A token that was looked up.
#[derive(Clone)]
pub(crate) struct CachedToken {
    pub(crate) token: ApiTokenRecord,
    pub(crate) looked_up: Timestamp,
    pub(crate) touched: Timestamp,
}

impl TokenCache {
    /// Forgets all: the next request of each token looks it up.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The token, unless it was looked up too long ago.
    pub(crate) fn get(&self, hash: &[u8; 32], now: Timestamp) -> Option<CachedToken> {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = cache.get(hash)?;
        // A clock that goes back must not keep a revoked token good for longer.
        let is_fresh = now >= cached.looked_up && now.saturating_duration_since(cached.looked_up) < TOKEN_CACHED;
        is_fresh.then(|| cached.clone())
    }

    /// Remembers a token.
    pub(crate) fn put(&self, hash: &[u8; 32], cached: CachedToken) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= TOKENS {
            cache.clear();
        }
        cache.insert(*hash, cached);
    }

    /// When the use of a token was noted last.
    pub(crate) fn last_touch(&self, hash: &[u8; 32]) -> Option<Timestamp> {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.get(hash).map(|cached| cached.touched)
    }
}

/// How long a token that was found is taken for known. A token that was rotated counts this long at most.
const AGENT_CACHED: Duration = Duration::from_secs(300);
/// Tokens in the cache, three times the agents of a large service; beyond it the cache begins anew.
const AGENT_TOKENS: usize = 30_000;

/// Agents that were known by their tokens lately, by the SHA-256 of the token.
#[derive(Default)]
pub(crate) struct AgentTokenCache(Mutex<HashMap<[u8; 32], (AgentUid, Timestamp)>>);

impl AgentTokenCache {
    /// The agent, unless it was found too long ago.
    pub(crate) fn get(&self, hash: &[u8; 32], now: Timestamp) -> Option<AgentUid> {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (agent, at) = cache.get(hash)?;
        (now.saturating_duration_since(*at) < AGENT_CACHED).then_some(*agent)
    }

    /// Remembers an agent.
    pub(crate) fn put(&self, hash: [u8; 32], agent: AgentUid, now: Timestamp) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= AGENT_TOKENS {
            cache.clear();
        }
        cache.insert(hash, (agent, now));
    }
}
