//! Lifecycle runs and activities in SQLite.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use windlass_store::{
    Activities, Activity, ActivityFilter, Agent, AgentUid, NewActivity, Run, RunId, RunState, Runs, Step, StoreError,
    Timestamp, backend,
};

use crate::rows::{self, Fields, Statement, TableRecord, Where};
use crate::{SqliteStore, agents, error};

impl TableRecord for Run {
    const TABLE: &'static str = "runs";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "agent_id",
        "gateway_id",
        "kind",
        "generation",
        "options",
        "state",
        "error",
        "wake_key",
        "started_at",
        "ended_at",
    ];

    fn bind(&self, statement: Statement) -> Result<Statement, StoreError> {
        Ok(statement
            .bind(self.id.to_string())
            .bind(self.agent_id.to_string())
            .bind(self.gateway_id.to_string())
            .bind(self.kind.as_str())
            .bind(rows::number("run.generation", self.generation)?)
            .bind(rows::json("run.options", &self.options)?)
            .bind(self.state.as_str())
            .bind(self.error.clone())
            .bind(self.wake_key.clone())
            .bind(self.started_at.as_millis())
            .bind(rows::millis(self.ended_at)))
    }

    fn read(row: &Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            agent_id: row.parsed("agent_id")?,
            gateway_id: row.parsed("gateway_id")?,
            kind: row.parsed("kind")?,
            generation: row.number("generation")?,
            options: row.json("options")?,
            state: row.parsed("state")?,
            error: row.get("error")?,
            wake_key: row.get("wake_key")?,
            started_at: row.at("started_at")?,
            ended_at: row.optional_at("ended_at")?,
        })
    }
}

impl TableRecord for Step {
    const TABLE: &'static str = "steps";
    const COLUMNS: &'static [&'static str] = &["run_id", "name", "state", "attempts", "detail", "at"];

    fn bind(&self, statement: Statement) -> Result<Statement, StoreError> {
        Ok(statement
            .bind(self.run_id.to_string())
            .bind(self.name.as_str())
            .bind(self.state.as_str())
            .bind(i64::from(self.attempts))
            .bind(rows::json("step.detail", &self.detail)?)
            .bind(self.at.as_millis()))
    }

    fn read(row: &Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            run_id: row.parsed("run_id")?,
            name: row.parsed("name")?,
            state: row.parsed("state")?,
            attempts: row.number("attempts")?,
            detail: row.json("detail")?,
            at: row.at("at")?,
        })
    }
}

async fn found(connection: &mut SqliteConnection, id: RunId) -> Result<Option<Run>, StoreError> {
    rows::one(connection, Where::all().text("id =", id)).await
}

async fn active(connection: &mut SqliteConnection, id: RunId) -> Result<Run, StoreError> {
    let run = found(connection, id)
        .await?
        .ok_or_else(|| StoreError::unknown("run", id))?;
    if run.state == RunState::Active {
        Ok(run)
    } else {
        Err(StoreError::RunEnded { run: id })
    }
}

async fn begin(connection: &mut SqliteConnection, run: &Run, agent: &Agent) -> Result<Agent, StoreError> {
    if found(connection, run.id).await?.is_some() {
        return Err(StoreError::exists("run", run.id));
    }
    let of_agent = Where::all().text("agent_id =", run.agent_id).holds("state = 'active'");
    if let Some(active) = rows::id_of(connection, Run::TABLE, of_agent).await? {
        return Err(StoreError::RunActive { run: active });
    }
    let stored = agents::update(connection, agent).await?;
    rows::put(connection, &run.kept()).await?;
    Ok(stored)
}

async fn put_step(connection: &mut SqliteConnection, step: &Step) -> Result<(), StoreError> {
    active(connection, step.run_id).await?;
    rows::put_by(connection, step, &["run_id", "name"]).await
}

async fn end(connection: &mut SqliteConnection, ended: &Run) -> Result<Run, StoreError> {
    let begun = active(connection, ended.id).await?;
    let run = begun.ended_as(ended);
    rows::put(connection, &run).await?;
    Ok(run)
}

async fn end_with(
    connection: &mut SqliteConnection,
    run: &Run,
    agent: Option<&Agent>,
) -> Result<Option<Agent>, StoreError> {
    end(connection, run).await?;
    match agent {
        Some(agent) => agents::update(connection, agent).await.map(Some),
        None => Ok(None),
    }
}

async fn end_and_delete(connection: &mut SqliteConnection, run: &Run) -> Result<bool, StoreError> {
    // The stored run says whose it is.
    let agent = end(connection, run).await?.agent_id;
    agents::delete(connection, agent).await
}

async fn prune_runs(connection: &mut SqliteConnection, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
    let sql = "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE ended_at < ?1 ORDER BY ended_at, id LIMIT ?2)";
    let limit = i64::try_from(backend::page_size(limit)).unwrap_or(i64::MAX);
    let done = sqlx::query(sql)
        .bind(before.as_millis())
        .bind(limit)
        .execute(connection)
        .await;
    done.map(|done| done.rows_affected())
        .map_err(|error| error::of_call(&error))
}

#[async_trait]
impl Runs for SqliteStore {
    async fn begin_run(&self, run: &Run, agent: &Agent) -> Result<Agent, StoreError> {
        run.check_begin(agent.id)?;
        agent.check()?;
        let mut write = self.connections.write().await?;
        let result = begin(write.connection(), run, agent).await;
        write.finish(result).await
    }

    async fn put_step(&self, step: &Step) -> Result<(), StoreError> {
        step.check()?;
        let mut write = self.connections.write().await?;
        let result = put_step(write.connection(), step).await;
        write.finish(result).await
    }

    async fn steps(&self, run: RunId) -> Result<Vec<Step>, StoreError> {
        let mut read = self.connections.read().await?;
        rows::select(
            read.connection(),
            Where::all().text("run_id =", run).then("ORDER BY position"),
        )
        .await
    }

    async fn end_run(&self, run: &Run, agent: Option<&Agent>) -> Result<Option<Agent>, StoreError> {
        run.check_end(agent.map(|agent| agent.id))?;
        agent.map_or(Ok(()), Agent::check)?;
        let mut write = self.connections.write().await?;
        let result = end_with(write.connection(), run, agent).await;
        write.finish(result).await
    }

    async fn end_run_and_delete(&self, run: &Run) -> Result<bool, StoreError> {
        run.check_end(None)?;
        let mut write = self.connections.write().await?;
        let result = end_and_delete(write.connection(), run).await;
        write.finish(result).await
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        let mut read = self.connections.read().await?;
        found(read.connection(), id).await
    }

    async fn active_runs(&self, limit: usize) -> Result<Vec<Run>, StoreError> {
        let mut read = self.connections.read().await?;
        let order = format!("ORDER BY started_at, id LIMIT {}", backend::page_size(limit));
        rows::select(read.connection(), Where::all().holds("state = 'active'").then(order)).await
    }

    async fn runs(&self, agent: AgentUid, limit: usize) -> Result<Vec<Run>, StoreError> {
        let mut read = self.connections.read().await?;
        let order = format!("ORDER BY started_at DESC, id DESC LIMIT {}", backend::page_size(limit));
        rows::select(read.connection(), Where::all().text("agent_id =", agent).then(order)).await
    }

    async fn prune_runs(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut write = self.connections.write().await?;
        let result = prune_runs(write.connection(), before, limit).await;
        write.finish(result).await
    }
}

impl TableRecord for Activity {
    const TABLE: &'static str = "activities";
    const COLUMNS: &'static [&'static str] =
        &["id", "kind", "message", "agent_id", "board_id", "actor", "source", "at"];

    fn bind(&self, statement: Statement) -> Result<Statement, StoreError> {
        Ok(statement
            .bind(self.id)
            .bind(self.kind.clone())
            .bind(self.message.clone())
            .bind(self.agent_id.map(|id| id.to_string()))
            .bind(self.board_id.map(|id| id.to_string()))
            .bind(self.actor.clone())
            .bind(self.source.clone())
            .bind(self.at.as_millis()))
    }

    fn read(row: &Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            kind: row.get("kind")?,
            message: row.get("message")?,
            agent_id: row.optional("agent_id")?,
            board_id: row.optional("board_id")?,
            actor: row.get("actor")?,
            source: row.get("source")?,
            at: row.at("at")?,
        })
    }
}

/// Records an activity under the number after the last one ever used, pruned activities included.
async fn record_activity(connection: &mut SqliteConnection, activity: &NewActivity) -> Result<Activity, StoreError> {
    let stored = activity.numbered(rows::last_number(connection, "activities").await? + 1);
    rows::put(connection, &stored).await?;
    Ok(stored)
}

async fn prune_activities(
    connection: &mut SqliteConnection,
    before: Timestamp,
    limit: usize,
) -> Result<u64, StoreError> {
    let sql = "DELETE FROM activities WHERE id IN (SELECT id FROM activities WHERE at < ?1 ORDER BY id LIMIT ?2)";
    let limit = i64::try_from(backend::page_size(limit)).unwrap_or(i64::MAX);
    let done = sqlx::query(sql)
        .bind(before.as_millis())
        .bind(limit)
        .execute(connection)
        .await;
    done.map(|done| done.rows_affected())
        .map_err(|error| error::of_call(&error))
}

#[async_trait]
impl Activities for SqliteStore {
    async fn record(&self, activity: &NewActivity) -> Result<Activity, StoreError> {
        activity.check()?;
        let mut write = self.connections.write().await?;
        let result = record_activity(write.connection(), activity).await;
        write.finish(result).await
    }

    async fn activities(
        &self,
        filter: &ActivityFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Activity>, StoreError> {
        let limit = backend::page_size(limit);
        let which = Where::all()
            .optional_text("agent_id =", filter.agent)
            .optional_text("board_id =", filter.board);
        let which = match filter.before {
            Some(before) => which.number("id <", before),
            None => which,
        };
        let which = match &filter.kind_prefix {
            // Not `LIKE`, to which `_` stands for any letter.
            Some(prefix) => which.with("substr(kind, 1, length({})) = {}", prefix),
            None => which,
        };
        let mut read = self.connections.read().await?;
        if let Some(after) = after {
            let next = which.number("id >", after).then(format!("ORDER BY id LIMIT {limit}"));
            return rows::select(read.connection(), next).await;
        }
        let newest = which.then(format!("ORDER BY id DESC LIMIT {limit}"));
        let mut found = rows::select(read.connection(), newest).await?;
        found.reverse();
        Ok(found)
    }

    async fn prune_activities(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut write = self.connections.write().await?;
        let result = prune_activities(write.connection(), before, limit).await;
        write.finish(result).await
    }
}
