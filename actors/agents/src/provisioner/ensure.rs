//! Jobs of the provisioner, each handed to the part that does it, and agents that a board or a gateway must have.

use std::rc::Rc;

use serde::Serialize;
use windlass_store::resolver::{self, ResolveError};
use windlass_store::{Agent, AgentFilter, AgentUid, BoardId, Creator, Gateway, GatewayUid, RunKind, StoreError};

use super::context::Context;
use super::fleet::WorkItem;
use super::gateways::work;
use super::report::{AgentReport, FleetReport, ProgressSender};
use super::request::{Job, RunOptions};
use super::{content, forget, gateways, lifecycle};

/// The name of a board's lead, unless another is given.
pub const LEAD_NAME: &str = "Lead Agent";

/// An agent that must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ensure {
    /// A board's lead.
    Lead {
        /// The board.
        board: BoardId,
        /// Its name, if not [`LEAD_NAME`].
        name: Option<String>,
    },
    /// A gateway's own agent.
    Main {
        /// The gateway.
        gateway: GatewayUid,
    },
}

/// An agent that is there now.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ensured {
    /// The agent.
    pub agent: AgentUid,
    /// Whether its record was made now.
    pub created: bool,
    /// How bringing it to life came out; nothing when it was alive. A failure can be tried again: the record stays.
    pub report: Option<AgentReport>,
}

/// StepError there is no record of an agent that must be there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnsureError {
    /// The board or the gateway is not fit for it.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The provisioner is gone.
    #[error(transparent)]
    Interrupted(#[from] super::report::Interrupted),
}

/// Finds or makes the record, and provisions what was never provisioned.
pub(crate) async fn ensure_agent(
    ctx: Rc<Context>,
    wanted: Ensure,
    options: RunOptions,
    progress: ProgressSender,
) -> Result<Ensured, EnsureError> {
    let (agent, created) = record(&ctx, &wanted).await?;
    let mut report = None;
    if lifecycle::is_new(&agent) {
        let agents = vec![agent.id];
        report = run_job(ctx, Job::Provision { agents, options }, progress)
            .await
            .agents
            .pop();
    }
    Ok(Ensured {
        agent: agent.id,
        created,
        report,
    })
}

async fn record(ctx: &Context, wanted: &Ensure) -> Result<(Agent, bool), EnsureError> {
    let ideal = ideal(ctx, wanted).await?;
    let filter = AgentFilter {
        gateway: ideal.board_id.is_none().then_some(ideal.gateway_id),
        board: ideal.board_id,
        role: Some(ideal.role()),
    };
    if let Some(there) = ctx.store.agents(&filter).await?.into_iter().next() {
        return Ok((correct(ctx, there, &ideal, wanted).await?, false));
    }
    match ctx.store.insert_agent(&ideal, Creator::Operator).await {
        Ok(made) => Ok((made, true)),
        // Somebody else made it in between.
        Err(StoreError::AlreadyHasLead { .. } | StoreError::AlreadyHasMain { .. }) => {
            let there = ctx.store.agents(&filter).await?.into_iter().next();
            Ok((there.unwrap_or(ideal), false))
        }
        Err(error) => Err(error.into()),
    }
}

/// The record as it would be made today.
async fn ideal(ctx: &Context, wanted: &Ensure) -> Result<Agent, EnsureError> {
    let (id, now) = (AgentUid::from_bytes(ctx.random()), ctx.now());
    match wanted {
        Ensure::Lead { board, name } => {
            let gateway = gateway_of_board(ctx, *board).await?;
            let name = name.clone().unwrap_or_else(|| LEAD_NAME.to_owned());
            let mut lead = Agent::new_lead(id, gateway.id, *board, name, now);
            lead.identity.insert("role".into(), "Board Lead".into());
            Ok(lead)
        }
        Ensure::Main { gateway } => {
            let gateway = content::gateway_record(&*ctx.store, *gateway).await?;
            let mut main = Agent::new_main(id, gateway.id, format!("{} Gateway Agent", gateway.name), now);
            main.identity.insert("role".into(), "Gateway Agent".into());
            main.identity.insert("emoji".into(), ":compass:".into());
            Ok(main)
        }
    }
}

/// An existing record keeps its identity, and gets the gateway, session key and (where one was asked for) the name that it
/// should have.
async fn correct(ctx: &Context, there: Agent, ideal: &Agent, wanted: &Ensure) -> Result<Agent, StoreError> {
    let renamed = match wanted {
        Ensure::Lead { name, .. } => name.as_ref().is_some_and(|name| *name != there.name),
        Ensure::Main { .. } => false,
    };
    let moved = there.gateway_id != ideal.gateway_id || there.session_key != ideal.session_key;
    if !renamed && !moved {
        return Ok(there);
    }
    let changed = ctx
        .change(there.id, |record| {
            record.gateway_id = ideal.gateway_id;
            record.session_key.clone_from(&ideal.session_key);
            if renamed {
                record.name.clone_from(&ideal.name);
            }
        })
        .await?;
    Ok(changed.unwrap_or(there))
}

async fn gateway_of_board(ctx: &Context, board: BoardId) -> Result<Gateway, ResolveError> {
    let found = ctx
        .store
        .board(board)
        .await?
        .ok_or(ResolveError::BoardUnknown { board })?;
    let (_, gateway) = resolver::resolve_board(&*ctx.store, board, found.organization_id).await?;
    Ok(gateway)
}

/// Does a job.
pub(crate) async fn run_job(ctx: Rc<Context>, job: Job, progress: ProgressSender) -> FleetReport {
    match job {
        Job::Provision { agents, options } => {
            let items = agents.into_iter().map(|agent| item(agent, None, options, false));
            work(ctx, items.collect(), progress).await
        }
        Job::Delete { agents, delete_files } => {
            let options = RunOptions::quiet();
            let order = agents.clone();
            let (unborn, agents) = never_begun(&ctx, agents).await;
            let forgotten = forget::each(&ctx, unborn, &progress).await;
            let items = agents
                .into_iter()
                .map(|agent| item(agent, Some(RunKind::Delete), options, delete_files));
            let mut report = work(ctx, items.collect(), progress).await;
            report.agents.extend(forgotten);
            let place = |report: &AgentReport| order.iter().position(|agent| *agent == report.agent);
            report.agents.sort_by_key(place);
            report
        }
        Job::Forget { agents } => forget::agents(ctx, agents, &progress).await,
        Job::ForgetGateway { gateway } => forget::gateway(ctx, gateway, &progress).await,
        Job::Sync { gateway, options } => gateways::sync_templates(ctx, gateway, options, progress).await,
    }
}

/// Takes out the agents that no run was ever begun for: their gateways have nothing of them.
async fn never_begun(ctx: &Context, agents: Vec<AgentUid>) -> (Vec<AgentUid>, Vec<AgentUid>) {
    let (mut unborn, mut others) = (Vec::new(), Vec::new());
    for id in agents {
        let agent = ctx.store.agent(id).await.ok().flatten();
        if agent.is_some_and(|agent| agent.lifecycle_generation == 0) {
            unborn.push(id);
        } else {
            others.push(id);
        }
    }
    (unborn, others)
}

fn item(agent: AgentUid, kind: Option<RunKind>, options: RunOptions, delete_files: bool) -> WorkItem {
    WorkItem::New {
        agent,
        kind,
        options,
        delete_files,
    }
}
