//! Jobs on agents that take long: provision, sync, delete. A job is started, goes on by itself, and is looked at by its id.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use utoipa::ToSchema;
use windlass::agents::{FleetReport, Job, Operation, RunOptions, SyncOptions, TokenRule, Wake};
use windlass_store::{AgentFilter, AgentUid};

use crate::access::{Caller, Scope};
use crate::audit::{self, AuditChange};
use crate::error::{OperationError, OperationErrorCode};
use crate::gateway_records::recorded;
pub use crate::job_table::JobView;
use crate::job_table::view;
use crate::page::ListPage;
use crate::service::Service;
use crate::{agents, boards};

/// Progress that is remembered of a job, the latest.
const PROGRESS: usize = 500;

/// Agents to work on.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct ProvisionInput {
    /// The agents, by id or name; instead of `all`.
    #[serde(default)]
    pub agents: Vec<String>,
    /// All agents of the store.
    #[serde(default)]
    pub all: bool,
    /// Which agents to wake at the end.
    #[serde(default)]
    pub wake: WakeInput,
    /// Begin a fresh session before the wake.
    #[serde(default)]
    pub reset_session: bool,
    /// Write USER.md and MEMORY.md even where the agent changed them.
    #[serde(default)]
    pub overwrite: bool,
    /// Give each agent its BOOTSTRAP.md again.
    #[serde(default)]
    pub force_bootstrap: bool,
    /// Give each agent a new token.
    #[serde(default)]
    pub rotate_token: bool,
}

/// Which agents a run wakes at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WakeInput {
    /// None.
    Never,
    /// Those that are new or changed.
    #[default]
    IfChanged,
    /// All.
    Always,
}

/// Agents to delete.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteInput {
    /// The agents, by id or name.
    pub agents: Vec<String>,
    /// Delete their workspaces too.
    #[serde(default)]
    pub delete_files: bool,
    /// Take the records out of the store and ask no gateway: for agents of a gateway that is gone for good.
    #[serde(default)]
    pub forget: bool,
}

/// A template sync.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct SyncInput {
    /// The gateway, by id or name.
    pub gateway: String,
    /// Only agents of this board, by id or name.
    pub board: Option<String>,
    /// The gateway's own agent too.
    #[serde(default)]
    pub include_main: bool,
    /// Leads only.
    #[serde(default)]
    pub lead_only: bool,
    /// Begin a fresh session for each agent.
    #[serde(default)]
    pub reset_sessions: bool,
    /// Give each agent a new token.
    #[serde(default)]
    pub rotate_tokens: bool,
    /// Write USER.md and MEMORY.md even where the agent changed them.
    #[serde(default)]
    pub overwrite: bool,
    /// Give each agent its BOOTSTRAP.md again.
    #[serde(default)]
    pub force_bootstrap: bool,
}

/// Brings agents to life, or up to date.
///
/// # Errors
/// Missing scope, no such agent, or no agent at all.
pub async fn provision(
    service: &Service,
    caller: &Caller,
    input: &ProvisionInput,
    id: [u8; 16],
) -> Result<JobView, OperationError> {
    caller.require(Scope::Write)?;
    let agents = chosen(service, &input.agents, input.all).await?;
    let options = RunOptions {
        wake: match input.wake {
            WakeInput::Never => Wake::Never,
            WakeInput::IfChanged => Wake::IfChanged,
            WakeInput::Always => Wake::Always,
        },
        reset_session: input.reset_session,
        overwrite: input.overwrite,
        force_bootstrap: input.force_bootstrap,
        token: if input.rotate_token {
            TokenRule::Rotate
        } else {
            TokenRule::Keep
        },
        ..RunOptions::default()
    };
    start(service, caller, "provision", Job::Provision { agents, options }, id).await
}

/// Takes agents off their gateways and out of the records, or only out of the records.
///
/// # Errors
/// Missing scope, no such agent, or no agent at all.
pub async fn delete(
    service: &Service,
    caller: &Caller,
    input: &DeleteInput,
    id: [u8; 16],
) -> Result<JobView, OperationError> {
    caller.require(Scope::Write)?;
    let agents = chosen(service, &input.agents, false).await?;
    let (kind, job) = if input.forget {
        ("forget", Job::Forget { agents })
    } else {
        let delete_files = input.delete_files;
        ("delete", Job::Delete { agents, delete_files })
    };
    start(service, caller, kind, job, id).await
}

/// Writes the present templates for the agents of a gateway.
///
/// # Errors
/// Missing scope, no such gateway or board.
pub async fn sync(
    service: &Service,
    caller: &Caller,
    input: &SyncInput,
    id: [u8; 16],
) -> Result<JobView, OperationError> {
    caller.require(Scope::Write)?;
    let gateway = recorded(service, &input.gateway).await?.id;
    let board = match &input.board {
        Some(board) => Some(boards::find(&**service.store(), board).await?.id),
        None => None,
    };
    let options = SyncOptions {
        include_main: input.include_main,
        lead_only: input.lead_only,
        reset_sessions: input.reset_sessions,
        rotate_tokens: input.rotate_tokens,
        force_bootstrap: input.force_bootstrap,
        overwrite: input.overwrite,
        board,
    };
    start(service, caller, "sync", Job::Sync { gateway, options }, id).await
}

/// The jobs, newest first.
///
/// # Errors
/// Missing scope.
pub fn list(service: &Service, caller: &Caller) -> Result<ListPage<JobView>, OperationError> {
    caller.require(Scope::Read)?;
    Ok(ListPage {
        items: service.jobs().all(),
        next_cursor: None,
    })
}

/// One job.
///
/// # Errors
/// Missing scope, or no such job.
pub fn get(service: &Service, caller: &Caller, id: &str) -> Result<JobView, OperationError> {
    caller.require(Scope::Read)?;
    let jobs = service.jobs().all();
    let found = jobs.into_iter().find(|job| job.id.to_string() == id);
    found.ok_or_else(|| OperationError::not_found("operation", id))
}

async fn chosen(service: &Service, names: &[String], all: bool) -> Result<Vec<AgentUid>, OperationError> {
    let store = service.store();
    if all && names.is_empty() {
        let agents = store.agents(&AgentFilter::default()).await?;
        return Ok(agents.into_iter().map(|agent| agent.id).collect());
    }
    if names.is_empty() || all {
        return Err(OperationError::invalid("agents", "or all is to be given, and not both"));
    }
    let mut chosen = Vec::new();
    for name in names {
        let id = agents::find(&**store, name).await?.id;
        if !chosen.contains(&id) {
            chosen.push(id);
        }
    }
    Ok(chosen)
}

async fn start(
    service: &Service,
    caller: &Caller,
    kind: &str,
    job: Job,
    id: [u8; 16],
) -> Result<JobView, OperationError> {
    let ends = |_| {
        OperationError::new(
            OperationErrorCode::Unavailable,
            "The service ends",
            "Send the request again later.",
        )
    };
    let count = match &job {
        Job::Provision { agents, .. } | Job::Delete { agents, .. } | Job::Forget { agents } => agents.len(),
        _ => 1,
    };
    let operation = service.agents().work(job).await.map_err(ends)?;
    let started = JobView {
        id: uuid::Builder::from_random_bytes(id).into_uuid(),
        kind: kind.to_owned(),
        state: "running".to_owned(),
        actor: caller.name.clone(),
        started_at: service.now(),
        ended_at: None,
        progress: VecDeque::new(),
        report: None,
        error: None,
    };
    let job = service.jobs().add(started);
    let message = format!("{kind} of {count}");
    let change = AuditChange::new("job.started", &message);
    audit::record(&**service.store(), caller, change, service.now()).await?;
    tokio::spawn(follow(service.clone(), operation, Arc::clone(&job)));
    Ok(view(&job))
}

/// Keeps a job's view up to date until it ends.
async fn follow(service: Service, mut operation: Operation<FleetReport>, job: Arc<Mutex<JobView>>) {
    while let Some(news) = operation.next().await {
        let news = serde_json::to_value(&news).unwrap_or_default();
        let mut job = job.lock().unwrap_or_else(PoisonError::into_inner);
        if job.progress.len() >= PROGRESS {
            job.progress.pop_front();
        }
        job.progress.push_back(news);
    }
    let report = operation.report().await;
    let mut job = job.lock().unwrap_or_else(PoisonError::into_inner);
    job.ended_at = Some(service.now());
    match report {
        Ok(report) => {
            job.state = String::from(if report.all_done() { "done" } else { "failed" });
            job.report = serde_json::to_value(&report).ok();
        }
        Err(error) => {
            job.state = String::from("failed");
            job.error = Some(error.to_string());
        }
    }
}
