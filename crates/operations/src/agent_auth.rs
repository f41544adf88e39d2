//! The agent of a request, from its token.
//!
//! The hash of an agent's token is salted, so a token is looked for among all agents. A token that was found stays in a cache for some
//! minutes: hashes that an earlier backend wrote take a tenth of a second each.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use windlass_store::{Agent, AgentFilter, AgentUid, Timestamp};

use crate::error::{ErrorCode, OperationError};
use crate::service::Service;

/// How long a token that was found is taken for known. A token that was rotated counts this long at most.
const CACHED: Duration = Duration::from_secs(300);
/// Tokens in the cache, three times the agents of a large service; beyond it the cache begins anew.
const CACHE: usize = 30_000;
/// The longest token, in bytes; one of Windlass has 43.
const LIMIT: usize = 1024;

/// Agents that were known by their tokens lately, by the SHA-256 of the token.
#[derive(Default)]
pub(crate) struct AgentTokenCache(Mutex<HashMap<[u8; 32], (AgentUid, Timestamp)>>);

impl AgentTokenCache {
    fn get(&self, hash: &[u8; 32], now: Timestamp) -> Option<AgentUid> {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (agent, at) = cache.get(hash)?;
        (now.saturating_duration_since(*at) < CACHED).then_some(*agent)
    }

    fn put(&self, hash: [u8; 32], agent: AgentUid, now: Timestamp) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHE {
            cache.clear();
        }
        cache.insert(hash, (agent, now));
    }
}

/// The agent with this token. A call of an agent counts as a sign of life.
///
/// # Errors
/// [`ErrorCode::Unauthenticated`], or the store's.
pub async fn agent_of(service: &Service, token: &str) -> Result<Agent, OperationError> {
    if token.is_empty() || token.len() > LIMIT {
        return Err(unknown());
    }
    let now = service.now();
    let hash: [u8; 32] = Sha256::digest(token).into();
    let agent = if let Some(agent) = cached(service, &hash, now).await? {
        agent
    } else {
        let agents = service.store().agents(&AgentFilter::default()).await?;
        let agent = search(agents, token.to_owned()).await?.ok_or_else(unknown)?;
        service.agent_token_cache().put(hash, agent.id, now);
        agent
    };
    service.store().touch(agent.id, now).await?;
    Ok(agent)
}

async fn cached(service: &Service, hash: &[u8; 32], now: Timestamp) -> Result<Option<Agent>, OperationError> {
    match service.agent_token_cache().get(hash, now) {
        Some(id) => Ok(service.store().agent(id).await?),
        None => Ok(None),
    }
}

/// Looks for the agent on a thread for blocking work: hashing takes long with many agents. Quick hashes are compared first.
async fn search(agents: Vec<Agent>, token: String) -> Result<Option<Agent>, OperationError> {
    let searched = tokio::task::spawn_blocking(move || {
        let is_slow = |agent: &Agent| {
            let hashes = [&agent.token_hash, &agent.next_token_hash];
            hashes.into_iter().flatten().any(windlass_store::TokenHash::is_slow)
        };
        let (slow, quick): (Vec<_>, Vec<_>) = agents.into_iter().partition(is_slow);
        quick.into_iter().chain(slow).find(|agent| agent.knows_token(&token))
    });
    searched
        .await
        .map_err(|error| OperationError::new(ErrorCode::Internal, error.to_string(), ""))
}

fn unknown() -> OperationError {
    OperationError::new(
        ErrorCode::Unauthenticated,
        "The token is not that of an agent",
        "Send the AUTH_TOKEN of your workspace in the header X-Agent-Token.",
    )
}
