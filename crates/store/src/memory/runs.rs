//! Lifecycle runs in memory.

use std::cmp::Reverse;

use async_trait::async_trait;

use super::{MemoryStore, Tables};
use crate::backend;
use crate::error::StoreError;
use crate::id::{AgentUid, RunId};
use crate::record::{Agent, Run, RunState, Step};
use crate::time::Timestamp;
use crate::traits::Runs;

impl Tables {
    fn needs_active(&self, id: RunId) -> Result<(), StoreError> {
        match self.runs.get(&id) {
            None => Err(StoreError::unknown("run", id)),
            Some(run) if run.state != RunState::Active => Err(StoreError::RunEnded { run: id }),
            Some(_) => Ok(()),
        }
    }

    fn end(&mut self, ended: &Run) {
        if let Some(run) = self.runs.get_mut(&ended.id) {
            *run = run.ended_as(ended);
        }
    }
}

#[async_trait]
impl Runs for MemoryStore {
    async fn begin_run(&self, run: &Run, agent: &Agent) -> Result<Agent, StoreError> {
        run.check_begin(agent)?;
        agent.check()?;
        let mut tables = self.tables()?;
        if tables.runs.contains_key(&run.id) {
            return Err(StoreError::exists("run", run.id));
        }
        let is_active = |other: &&Run| other.agent_id == run.agent_id && other.state == RunState::Active;
        if let Some(active) = tables.runs.values().find(is_active) {
            return Err(StoreError::RunActive { run: active.id });
        }
        let stored = tables.amended(agent)?;
        tables.agents.insert(stored.id, stored.clone());
        tables.runs.insert(run.id, run.kept());
        Ok(stored)
    }

    async fn put_step(&self, step: &Step) -> Result<(), StoreError> {
        step.check()?;
        let mut tables = self.tables()?;
        tables.needs_active(step.run_id)?;
        let steps = tables.steps.entry(step.run_id).or_default();
        match steps.iter_mut().find(|known| known.name == step.name) {
            Some(known) => *known = step.clone(),
            None => steps.push(step.clone()),
        }
        Ok(())
    }

    async fn steps(&self, run: RunId) -> Result<Vec<Step>, StoreError> {
        Ok(self.tables()?.steps.get(&run).cloned().unwrap_or_default())
    }

    async fn end_run(&self, run: &Run, agent: Option<&Agent>) -> Result<Option<Agent>, StoreError> {
        run.check_end(agent)?;
        agent.map_or(Ok(()), Agent::check)?;
        let mut tables = self.tables()?;
        tables.needs_active(run.id)?;
        let stored = agent.map(|agent| tables.amended(agent)).transpose()?;
        if let Some(stored) = &stored {
            tables.agents.insert(stored.id, stored.clone());
        }
        tables.end(run);
        Ok(stored)
    }

    async fn end_run_and_delete(&self, run: &Run) -> Result<bool, StoreError> {
        run.check_end(None)?;
        let mut tables = self.tables()?;
        tables.needs_active(run.id)?;
        tables.end(run);
        // The stored run says whose it is.
        let agent = tables.runs.get(&run.id).map(|run| run.agent_id);
        Ok(agent.is_some_and(|agent| tables.agents.remove(&agent).is_some()))
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        Ok(self.tables()?.runs.get(&id).cloned())
    }

    async fn active_runs(&self, limit: usize) -> Result<Vec<Run>, StoreError> {
        let tables = self.tables()?;
        let mut active: Vec<&Run> = tables
            .runs
            .values()
            .filter(|run| run.state == RunState::Active)
            .collect();
        active.sort_by_key(|run| (run.started_at, run.id));
        Ok(active.into_iter().take(backend::page_size(limit)).cloned().collect())
    }

    async fn runs(&self, agent: AgentUid, limit: usize) -> Result<Vec<Run>, StoreError> {
        let tables = self.tables()?;
        let mut runs: Vec<&Run> = tables.runs.values().filter(|run| run.agent_id == agent).collect();
        runs.sort_by_key(|run| Reverse((run.started_at, run.id)));
        Ok(runs.into_iter().take(backend::page_size(limit)).cloned().collect())
    }

    async fn prune_runs(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut tables = self.tables()?;
        let ended = tables.runs.values().filter_map(|run| Some((run.ended_at?, run.id)));
        let mut old: Vec<(Timestamp, RunId)> = ended.filter(|(at, _)| *at < before).collect();
        old.sort_unstable();
        old.truncate(backend::page_size(limit));
        for (_, id) in &old {
            tables.runs.remove(id);
            tables.steps.remove(id);
        }
        Ok(old.len() as u64)
    }
}
