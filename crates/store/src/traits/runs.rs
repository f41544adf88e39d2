//! Lifecycle runs.

use async_trait::async_trait;

use crate::error::StoreError;
use crate::id::{AgentUid, RunId};
use crate::record::{Agent, Run, Step};
use crate::time::Timestamp;

/// Lifecycle runs and their steps.
#[async_trait]
pub trait Runs {
    /// Adds an active run and writes its agent, in one transaction; gives the agent back, one revision on.
    ///
    /// [`StoreError::RunActive`] when the agent has one already, [`StoreError::Exists`], and the refusals of
    /// [`Agents::update_agent`](crate::Agents::update_agent).
    async fn begin_run(&self, run: &Run, agent: &Agent) -> Result<Agent, StoreError>;

    /// Writes a step, whether it is new or not. [`StoreError::RunEnded`] when its run has ended, [`StoreError::Unknown`] when there
    /// is no such run.
    async fn put_step(&self, step: &Step) -> Result<(), StoreError>;

    /// The steps of a run, in the order in which they were begun.
    async fn steps(&self, run: RunId) -> Result<Vec<Step>, StoreError>;

    /// Ends a run, done or failed, and writes its agent if given, in one transaction; gives that agent back, one revision on.
    ///
    /// [`StoreError::RunEnded`] when it has ended, [`StoreError::Unknown`] when it is not there, and the refusals of
    /// [`Agents::update_agent`](crate::Agents::update_agent).
    async fn end_run(&self, run: &Run, agent: Option<&Agent>) -> Result<Option<Agent>, StoreError>;

    /// Ends a run and deletes the record of its agent, in one transaction. Whether the record was there.
    async fn end_run_and_delete(&self, run: &Run) -> Result<bool, StoreError>;

    /// The one with this id.
    async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError>;

    /// Runs that have not ended, oldest first; at most `limit` and [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT).
    async fn active_runs(&self, limit: usize) -> Result<Vec<Run>, StoreError>;

    /// Runs of an agent, newest first; at most `limit` and [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT).
    async fn runs(&self, agent: AgentUid, limit: usize) -> Result<Vec<Run>, StoreError>;

    /// Deletes runs, with their steps, that ended before `before`, earliest first; at most `limit` and
    /// [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT). How many.
    async fn prune_runs(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError>;
}
