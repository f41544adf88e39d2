//! The agent of a request, from its token.
//!
//! The hash of an agent's token is salted, so a token is looked for among all agents. A token that was found stays in a cache for some
//! minutes: hashes that an earlier backend wrote take a tenth of a second each.

use sha2::{Digest as _, Sha256};
use windlass_store::{Agent, AgentFilter, Timestamp};

use crate::error::{OperationError, OperationErrorCode};
use crate::service::Service;

/// The longest token, in bytes; one of Windlass has 43.
const LIMIT: usize = 1024;

/// The agent with this token. A call of an agent counts as a sign of life.
///
/// # Errors
/// [`OperationErrorCode::Unauthenticated`], or the store's.
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
        .map_err(|error| OperationError::new(OperationErrorCode::Internal, error.to_string(), ""))
}

fn unknown() -> OperationError {
    OperationError::new(
        OperationErrorCode::Unauthenticated,
        "The token is not that of an agent",
        "Send the AUTH_TOKEN of your workspace in the header X-Agent-Token.",
    )
}
