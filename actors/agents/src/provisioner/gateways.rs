//! Work on agents of any gateways: the part of each gateway runs beside the others.

use std::collections::BTreeMap;
use std::rc::Rc;

use futures_util::StreamExt as _;
use futures_util::stream;
use windlass_store::{AgentUid, Gateway, GatewayUid, Run, RunState, StepName};

use super::context::Context;
use super::fleet::{self, WorkItem};
use super::progress::{Progress, ProgressSender};
use super::records;
use super::report::{AgentReport, Changes, Failed, FleetReport, Why};

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
    progress.tell(Progress::Planned { agents: order.len() });
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
                    failure: Some(Failed::at(StepName::Render, why).explain()),
                    skipped: None,
                };
                progress.tell(Progress::ended(&report));
                lost.push(report);
            }
        }
    }
    (by_gateway, lost)
}

async fn gateway_of(ctx: &Context, agent: AgentUid, known: &ByGateway) -> Result<Gateway, Why> {
    let agent = ctx.store.agent(agent).await?.ok_or(Why::Gone)?;
    if let Some((gateway, _)) = known.get(&agent.gateway_id) {
        return Ok(gateway.clone());
    }
    Ok(records::gateway(&*ctx.store, agent.gateway_id).await?)
}
