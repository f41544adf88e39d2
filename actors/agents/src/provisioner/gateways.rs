//! Work on agents of any gateways: the part of each gateway runs beside the others.
//!
//! After a template sync the agents of a gateway get the files of today's templates.

use std::collections::BTreeMap;
use std::rc::Rc;

use futures_util::{StreamExt as _, stream};
use windlass_store::{
    Agent, AgentFilter, AgentRole, AgentUid, Board, BoardId, Gateway, GatewayUid, Run, RunKind, RunState, StepName,
};

use super::context::Context;
use super::fleet::WorkItem;
use super::report::{
    AgentReport, Changes, FailedStep, FleetReport, GatewayFailure, ProgressSender, ProvisionProgress, StepError,
};
use super::request::SyncOptions;
use super::{content, fleet};

/// Gateways that are worked on at a time. They share no limit but ours: sockets and memory.
const GATEWAYS_AT_A_TIME: usize = 64;

/// Goes on with runs that were cut off.
pub(crate) async fn resume(ctx: Rc<Context>, runs: Vec<Run>, progress: ProgressSender) -> FleetReport {
    let items = runs.into_iter().map(|run| WorkItem::Resume(Box::new(run)));
    work(ctx, items.collect(), progress).await
}

/// Works on agents, wherever they are. A run of theirs that was cut off is brought to its end first; where it was the same
/// as what is wanted now, that was it.
pub(crate) async fn work(ctx: Rc<Context>, items: Vec<WorkItem>, progress: ProgressSender) -> FleetReport {
    let order: Vec<AgentUid> = items.iter().map(WorkItem::agent).collect();
    progress.tell(ProvisionProgress::Planned { agents: order.len() });
    let (cut_off, left) = cut_off(&ctx, items).await;
    let mut all = pass(&ctx, cut_off, &progress).await;
    let news = pass(&ctx, left, &progress).await;
    all.config_writes += news.config_writes;
    // Where there are two, the newer one counts.
    let both = all.agents.into_iter().chain(news.agents);
    let mut by_agent: BTreeMap<AgentUid, AgentReport> = both.map(|report| (report.agent, report)).collect();
    all.agents = order.iter().filter_map(|agent| by_agent.remove(agent)).collect();
    all
}

/// Takes out the runs that were cut off, and leaves the remaining work.
async fn cut_off(ctx: &Context, items: Vec<WorkItem>) -> (Vec<WorkItem>, Vec<WorkItem>) {
    let (mut cut_off, mut left) = (Vec::new(), Vec::new());
    for item in items {
        match (active_run(ctx, item.agent()).await, item) {
            (None, item @ WorkItem::New { .. }) => left.push(item),
            (Some(run), item) => {
                if !item.is_like(&run) {
                    left.push(item);
                }
                cut_off.push(WorkItem::Resume(Box::new(run)));
            }
            // It has come to its end since it was found.
            (None, WorkItem::Resume(_)) => {}
        }
    }
    (cut_off, left)
}

/// The run of an agent that has not ended. There is one at most, and none is begun after it, so it is among the newest; not
/// always the first of them: two may have begun in the same millisecond.
pub(super) async fn active_run(ctx: &Context, agent: AgentUid) -> Option<Run> {
    const NEWEST: usize = 10;
    let runs = ctx.store.runs(agent, NEWEST).await.ok()?;
    runs.into_iter().find(|run| run.state == RunState::Active)
}

async fn pass(ctx: &Rc<Context>, items: Vec<WorkItem>, progress: &ProgressSender) -> FleetReport {
    let (by_gateway, mut reports) = sort(ctx, items, progress).await;
    let parts = by_gateway.into_values().map(|(gateway, items)| {
        let (ctx, progress) = (Rc::clone(ctx), progress.clone());
        async move { fleet::work(ctx, &gateway, items, progress).await }
    });
    let parts: Vec<_> = stream::iter(parts).buffer_unordered(GATEWAYS_AT_A_TIME).collect().await;
    let config_writes = parts.iter().map(|part| part.config_writes).sum();
    reports.extend(parts.into_iter().flat_map(|part| part.reports));
    FleetReport {
        agents: reports,
        gateways: Vec::new(),
        config_writes,
    }
}

type ByGateway = BTreeMap<GatewayUid, (Gateway, Vec<WorkItem>)>;

/// Finds out where each agent is. Those that are nowhere are reported at once.
async fn sort(ctx: &Context, items: Vec<WorkItem>, progress: &ProgressSender) -> (ByGateway, Vec<AgentReport>) {
    let (mut by_gateway, mut lost) = (ByGateway::new(), Vec::new());
    for item in items {
        match gateway_of(ctx, item.agent(), &by_gateway).await {
            Ok(gateway) => by_gateway
                .entry(gateway.id)
                .or_insert_with(|| (gateway, Vec::new()))
                .1
                .push(item),
            Err(why) => {
                let report = AgentReport {
                    agent: item.agent(),
                    name: String::new(),
                    changes: Changes::default(),
                    warnings: Vec::new(),
                    failure: Some(FailedStep::at(StepName::Render, why).explain()),
                    skipped: None,
                };
                progress.tell(ProvisionProgress::ended(&report));
                lost.push(report);
            }
        }
    }
    (by_gateway, lost)
}

async fn gateway_of(ctx: &Context, agent: AgentUid, known: &ByGateway) -> Result<Gateway, StepError> {
    let agent = ctx.store.agent(agent).await?.ok_or(StepError::Gone)?;
    if let Some((gateway, _)) = known.get(&agent.gateway_id) {
        return Ok(gateway.clone());
    }
    Ok(content::gateway_record(&*ctx.store, agent.gateway_id).await?)
}

/// Syncs a gateway. It is asked for a sign of life first, so that one that is down costs one wait and not one per agent.
pub(crate) async fn sync_templates(
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
    let mut report = work(ctx, items, progress).await;
    report.agents.extend(skipped);
    report
}

async fn prepare(
    ctx: &Context,
    gateway: GatewayUid,
    options: &SyncOptions,
) -> Result<Vec<(Agent, Option<Board>)>, GatewayFailure> {
    let failed = |why: StepError| {
        let failure = FailedStep::at(StepName::Agent, why).explain();
        GatewayFailure {
            gateway,
            summary: failure.summary,
            next_step: failure.next_step,
        }
    };
    let record = content::gateway_record(&*ctx.store, gateway).await;
    let record = record.map_err(|error| failed(error.into()))?;
    ping(ctx, &record).await.map_err(failed)?;
    with_boards(ctx, gateway, options).await.map_err(failed)
}

async fn ping(ctx: &Context, gateway: &Gateway) -> Result<(), StepError> {
    let plane = ctx.fleet.control_plane(gateway).await?;
    plane.health().await?;
    Ok(())
}

async fn with_boards(
    ctx: &Context,
    gateway: GatewayUid,
    options: &SyncOptions,
) -> Result<Vec<(Agent, Option<Board>)>, StepError> {
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
