//! Agents, their runs and activities in memory.

use std::cmp::Reverse;

use async_trait::async_trait;
use windlass_protocol::SessionKey;

use super::{MemoryStore, Tables, listed};
use crate::backend;
use crate::error::StoreError;
use crate::record::{
    Activity, ActivityFilter, Agent, AgentFilter, AgentRole, CheckIn, Creator, NewActivity, Run, RunState, Step,
};
use crate::traits::{Activities, Agents, Runs};
use crate::values::{AgentUid, GatewayUid, RunId, Timestamp};

impl Tables {
    /// Checks an agent against the other records: its gateway and board exist, and no other agent has its unique properties.
    fn admits(&self, agent: &Agent) -> Result<(), StoreError> {
        self.needs_gateway(agent.gateway_id)?;
        if let Some(board) = agent.board_id
            && !self.boards.contains_key(&board)
        {
            return Err(StoreError::unknown("board", board));
        }
        let others = || self.agents.values().filter(|other| other.id != agent.id);
        let on_gateway = || others().filter(|other| other.gateway_id == agent.gateway_id);
        let role = agent.role();
        if role == AgentRole::Main
            && let Some(main) = on_gateway().find(|other| other.role() == AgentRole::Main)
        {
            return Err(StoreError::AlreadyHasMain {
                gateway: agent.gateway_id,
                by: main.id,
            });
        }
        if let (AgentRole::Lead, Some(board)) = (role, agent.board_id)
            && let Some(lead) = others().find(|other| other.board_id == Some(board) && other.is_board_lead)
        {
            return Err(StoreError::AlreadyHasLead { board, by: lead.id });
        }
        let key = backend::name_key(&agent.name);
        let clashes = |other: &&Agent| {
            let same_board = agent.board_id.is_some() && other.board_id == agent.board_id;
            let same_gateway = other.gateway_id == agent.gateway_id && !other.is_board_lead && !agent.is_board_lead;
            (same_board || same_gateway) && backend::name_key(&other.name) == key
        };
        if let Some(other) = others().find(clashes) {
            return Err(StoreError::name_taken("agent", &agent.name, other.id));
        }
        if let Some(other) = on_gateway().find(|other| other.session_key == agent.session_key) {
            return Err(StoreError::SessionTaken {
                key: agent.session_key.clone(),
                by: other.id,
            });
        }
        Ok(())
    }

    /// Checks that a new agent fits its board.
    fn has_room(&self, agent: &Agent, created_by: Creator) -> Result<(), StoreError> {
        let Some(board) = agent.board_id.and_then(|id| self.boards.get(&id)) else {
            return Ok(());
        };
        if board.gateway_id != Some(agent.gateway_id) {
            return Err(StoreError::invalid(
                "agent.gateway_id",
                "is not the gateway of its board",
            ));
        }
        let is_worker = |agent: &Agent| agent.role() == AgentRole::Worker;
        let workers = self
            .agents
            .values()
            .filter(|other| other.board_id == Some(board.id) && is_worker(other))
            .count();
        if created_by == Creator::Lead && is_worker(agent) && workers >= board.max_agents as usize {
            return Err(StoreError::LimitReached { max: board.max_agents });
        }
        Ok(())
    }

    /// The record to store in place of the stored one, if the update is admissible.
    pub(super) fn amended(&self, agent: &Agent) -> Result<Agent, StoreError> {
        let stored = self
            .agents
            .get(&agent.id)
            .ok_or_else(|| StoreError::unknown("agent", agent.id))?;
        if stored.revision != agent.revision {
            return Err(StoreError::Conflict { agent: agent.id });
        }
        if !agent.claims_no_more_than(stored) {
            self.admits(agent)?;
        }
        Ok(agent.kept(agent.revision + 1))
    }
}

#[async_trait]
impl Agents for MemoryStore {
    async fn insert_agent(&self, agent: &Agent, created_by: Creator) -> Result<Agent, StoreError> {
        agent.check()?;
        let mut tables = self.tables()?;
        if tables.agents.contains_key(&agent.id) {
            return Err(StoreError::exists("agent", agent.id));
        }
        tables.admits(agent)?;
        tables.has_room(agent, created_by)?;
        let stored = agent.kept(1);
        tables.agents.insert(stored.id, stored.clone());
        Ok(stored)
    }

    async fn update_agent(&self, agent: &Agent) -> Result<Agent, StoreError> {
        agent.check()?;
        let mut tables = self.tables()?;
        let stored = tables.amended(agent)?;
        tables.agents.insert(stored.id, stored.clone());
        Ok(stored)
    }

    async fn agent(&self, id: AgentUid) -> Result<Option<Agent>, StoreError> {
        Ok(self.tables()?.agents.get(&id).cloned())
    }

    async fn agents(&self, filter: &AgentFilter) -> Result<Vec<Agent>, StoreError> {
        let tables = self.tables()?;
        let found = tables.agents.values().filter(|agent| filter.takes(agent));
        listed("agents", found.cloned(), |agent| (agent.created_at, agent.id))
    }

    async fn delete_agent(&self, id: AgentUid) -> Result<bool, StoreError> {
        Ok(self.tables()?.agents.remove(&id).is_some())
    }

    async fn agent_by_session(&self, gateway: GatewayUid, key: &SessionKey) -> Result<Option<Agent>, StoreError> {
        let tables = self.tables()?;
        let is_it = |agent: &&Agent| agent.gateway_id == gateway && agent.session_key == *key;
        Ok(tables.agents.values().find(is_it).cloned())
    }

    async fn check_in(&self, id: AgentUid, check_in: CheckIn) -> Result<Option<Agent>, StoreError> {
        check_in.check()?;
        let mut tables = self.tables()?;
        Ok(tables.agents.get_mut(&id).map(|agent| {
            agent.checked_in(&check_in);
            agent.clone()
        }))
    }

    async fn touch(&self, id: AgentUid, at: Timestamp) -> Result<bool, StoreError> {
        Ok(self
            .tables()?
            .agents
            .get_mut(&id)
            .is_some_and(|agent| agent.touched(at)))
    }

    async fn next_deadline(&self) -> Result<Option<(AgentUid, Timestamp)>, StoreError> {
        let tables = self.tables()?;
        let deadlines = tables
            .agents
            .values()
            .filter_map(|agent| Some((agent.deadline()?, agent.id)));
        Ok(deadlines.min().map(|(deadline, id)| (id, deadline)))
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Agent>, StoreError> {
        let tables = self.tables()?;
        let mut due: Vec<&Agent> = tables.agents.values().filter(|agent| agent.is_due(now)).collect();
        due.sort_by_key(|agent| (agent.checkin_deadline_at, agent.id));
        Ok(due.into_iter().take(backend::page_size(limit)).cloned().collect())
    }
}

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
        run.check_begin(agent.id)?;
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
        run.check_end(agent.map(|agent| agent.id))?;
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

#[async_trait]
impl Activities for MemoryStore {
    async fn record(&self, activity: &NewActivity) -> Result<Activity, StoreError> {
        activity.check()?;
        let mut tables = self.tables()?;
        tables.last_activity += 1;
        let stored = activity.numbered(tables.last_activity);
        tables.activities.insert(stored.id, stored.clone());
        Ok(stored)
    }

    async fn activities(
        &self,
        filter: &ActivityFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Activity>, StoreError> {
        let tables = self.tables()?;
        let limit = backend::page_size(limit);
        let Some(after) = after else {
            let newest = tables
                .activities
                .values()
                .rev()
                .filter(|found| filter.takes(found))
                .take(limit);
            let mut newest: Vec<Activity> = newest.cloned().collect();
            newest.reverse();
            return Ok(newest);
        };
        let next = tables
            .activities
            .range(after.saturating_add(1)..)
            .map(|(_, found)| found);
        Ok(next.filter(|found| filter.takes(found)).take(limit).cloned().collect())
    }

    async fn prune_activities(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut tables = self.tables()?;
        let old = tables
            .activities
            .values()
            .filter(|found| found.at < before)
            .map(|found| found.id);
        let old: Vec<i64> = old.take(backend::page_size(limit)).collect();
        for id in &old {
            tables.activities.remove(id);
        }
        Ok(old.len() as u64)
    }
}
