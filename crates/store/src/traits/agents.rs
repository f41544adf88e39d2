//! Agents.

use async_trait::async_trait;
use windlass_protocol::SessionKey;

use crate::error::StoreError;
use crate::id::{AgentUid, GatewayUid};
use crate::record::{Agent, AgentFilter, CheckIn, Creator};
use crate::time::Timestamp;

/// Agents.
///
/// A name is taken when another agent of the same board has it, or, for agents that lead no board, when another such agent of the
/// same gateway has it; letters are compared in Unicode lower case. Leads are left out of the second rule because by default they
/// all have the same name.
#[async_trait]
pub trait Agents {
    /// Adds one, at revision 1, and gives it back as it is stored.
    ///
    /// [`StoreError::Exists`]; [`StoreError::Unknown`] for its gateway or board; [`StoreError::NameTaken`];
    /// [`StoreError::AlreadyHasMain`]; [`StoreError::AlreadyHasLead`]; [`StoreError::SessionTaken`]; and
    /// [`StoreError::LimitReached`] when a lead creates a worker where the board has its `max_agents` workers.
    async fn insert_agent(&self, agent: &Agent, created_by: Creator) -> Result<Agent, StoreError>;

    /// Writes all of it anew and gives it back, one revision on. [`StoreError::Conflict`] when its revision is not the stored one,
    /// [`StoreError::Unknown`] when it is not there, and the refusals of [`Agents::insert_agent`] for what it is to become.
    async fn update_agent(&self, agent: &Agent) -> Result<Agent, StoreError>;

    /// The one with this id.
    async fn agent(&self, id: AgentUid) -> Result<Option<Agent>, StoreError>;

    /// Those that the filter takes, oldest first; at most [`LIST_LIMIT`](crate::limits::LIST_LIMIT).
    async fn agents(&self, filter: &AgentFilter) -> Result<Vec<Agent>, StoreError>;

    /// Deletes its record; `false` when it was not there. Its runs and activities stay, until they are pruned.
    async fn delete_agent(&self, id: AgentUid) -> Result<bool, StoreError>;

    /// The one with this session on a gateway.
    async fn agent_by_session(&self, gateway: GatewayUid, key: &SessionKey) -> Result<Option<Agent>, StoreError>;

    /// The agent says that it is there: seen (never earlier than before), online or as given, and wakes, deadline and error
    /// cleared; one revision on. One that is being deleted is given back unchanged. `None` when it is not there.
    async fn check_in(&self, id: AgentUid, check_in: CheckIn) -> Result<Option<Agent>, StoreError>;

    /// Activity of the agent was seen on the gateway's events. Counts as a check-in when a deadline is pending and it is not from
    /// before the wake, when the agent is offline or a run is under way (which may just have woken it), or when it was not seen
    /// for [`TOUCH_INTERVAL`](crate::TOUCH_INTERVAL); otherwise nothing is written, so this may be called for every event. Whether
    /// something was written.
    async fn touch(&self, id: AgentUid, at: Timestamp) -> Result<bool, StoreError>;

    /// The agent with the earliest deadline. Those being deleted have none.
    async fn next_deadline(&self) -> Result<Option<(AgentUid, Timestamp)>, StoreError>;

    /// Those whose deadline is `now` or past, earliest first; at most `limit` and [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT).
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Agent>, StoreError>;
}
