//! Template sync: the agents of a gateway get the files that the templates say today.

use std::collections::BTreeMap;
use std::rc::Rc;

use windlass_store::{Agent, AgentFilter, AgentRole, Board, BoardId, Gateway, GatewayUid, RunKind, StepName};

use super::context::Context;
use super::fleet::WorkItem;
use super::gateways;
use super::progress::ProgressSender;
use super::records;
use super::report::{AgentReport, Changes, FleetReport, GatewayFailure};
use super::report::{Failed, Why};
use super::request::SyncOptions;

/// Syncs a gateway. It is asked for a sign of life first, so that one that is down costs one wait and not one per agent.
pub(crate) async fn run(
    ctx: Rc<Context>,
    gateway: GatewayUid,
    options: SyncOptions,
    progress: ProgressSender,
) -> FleetReport {
    let agents = match prepare(&ctx, gateway, &options).await {
        Ok(agents) => agents,
        Err(failure) => {
            return FleetReport {
                gateways: vec![failure],
                ..FleetReport::default()
            };
        }
    };
    let (items, skipped) = choose(agents, &options);
    let mut report = gateways::work(ctx, items, progress).await;
    report.agents.extend(skipped);
    report
}

async fn prepare(
    ctx: &Context,
    gateway: GatewayUid,
    options: &SyncOptions,
) -> Result<Vec<(Agent, Option<Board>)>, GatewayFailure> {
    let failed = |why: Why| {
        let failure = Failed::at(StepName::Agent, why).explain();
        GatewayFailure {
            gateway,
            summary: failure.summary,
            next_step: failure.next_step,
        }
    };
    let record = records::gateway(&*ctx.store, gateway).await;
    let record = record.map_err(|error| failed(error.into()))?;
    ping(ctx, &record).await.map_err(failed)?;
    with_boards(ctx, gateway, options).await.map_err(failed)
}

async fn ping(ctx: &Context, gateway: &Gateway) -> Result<(), Why> {
    let plane = ctx.fleet.control_plane(gateway).await?;
    plane.health().await?;
    Ok(())
}

async fn with_boards(
    ctx: &Context,
    gateway: GatewayUid,
    options: &SyncOptions,
) -> Result<Vec<(Agent, Option<Board>)>, Why> {
    let filter = AgentFilter {
        gateway: Some(gateway),
        board: options.board,
        ..AgentFilter::default()
    };
    let agents = ctx.store.agents(&filter).await?;
    let mut boards: BTreeMap<BoardId, Option<Board>> = BTreeMap::new();
    let mut found = Vec::with_capacity(agents.len());
    for agent in agents {
        let board = match agent.board_id {
            None => None,
            Some(id) => match boards.get(&id) {
                Some(board) => board.clone(),
                None => boards.entry(id).or_insert(ctx.store.board(id).await?).clone(),
            },
        };
        found.push((agent, board));
    }
    Ok(found)
}

/// Takes the agents that are meant; those of paused boards are named as left out.
fn choose(agents: Vec<(Agent, Option<Board>)>, options: &SyncOptions) -> (Vec<WorkItem>, Vec<AgentReport>) {
    let (mut items, mut skipped) = (Vec::new(), Vec::new());
    for (agent, board) in agents {
        let meant = match agent.role() {
            AgentRole::Main => options.include_main && options.board.is_none(),
            AgentRole::Lead => true,
            AgentRole::Worker => !options.lead_only,
        };
        if !meant {
            continue;
        }
        if let Some(board) = board.filter(|board| board.paused) {
            skipped.push(left_out(agent, format!("board {} is paused", board.name)));
            continue;
        }
        items.push(WorkItem::New {
            agent: agent.id,
            kind: Some(RunKind::Update),
            options: options.run_options(),
            delete_files: false,
        });
    }
    (items, skipped)
}

fn left_out(agent: Agent, why: String) -> AgentReport {
    AgentReport {
        agent: agent.id,
        name: agent.name,
        changes: Changes::default(),
        warnings: Vec::new(),
        failure: None,
        skipped: Some(why),
    }
}
