//! The loop around the fence: read, change, write, and again when somebody else wrote in between.

use crate::error::StoreError;
use crate::id::AgentUid;
use crate::record::Agent;
use crate::traits::Agents;

/// How often [`amend`] reads again. Only check-ins come between a read and a write, and one agent sends few of them.
pub const AMEND_TRIES: usize = 8;

/// Changes an agent as it is now: reads it, lets `change` work on it, and writes it, again when it was changed in between.
///
/// `None` when there is no such agent. [`StoreError::Conflict`] after [`AMEND_TRIES`].
pub async fn amend<S, F>(store: &S, id: AgentUid, mut change: F) -> Result<Option<Agent>, StoreError>
where
    S: Agents + ?Sized,
    F: FnMut(&mut Agent) + Send,
{
    for _ in 0..AMEND_TRIES {
        let Some(mut agent) = store.agent(id).await? else {
            return Ok(None);
        };
        change(&mut agent);
        match store.update_agent(&agent).await {
            Err(StoreError::Conflict { .. }) => {}
            Err(StoreError::Unknown { what: "agent", .. }) => return Ok(None),
            done => return done.map(Some),
        }
    }
    Err(StoreError::Conflict { agent: id })
}
