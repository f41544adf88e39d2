//! Deletes records: those of agents and gateways that are gone for good, and old ones of runs and activities. No gateway is asked.

use std::rc::Rc;
use std::time::Duration;

use windlass_line::failpoint;
use windlass_store::limits::PAGE_LIMIT;
use windlass_store::{
    Agent, AgentFilter, AgentUid, BoardFilter, BoardId, GatewayUid, NewActivity, RunState, StepName, StoreError,
};

use super::context::{Context, sleep};
use super::gateways;
use super::report::{
    AgentReport, Changes, FailedStep, FleetReport, GatewayFailure, ProgressSender, ProvisionProgress, StepError,
};

/// The error of runs that were under way when their agent was forgotten.
const FORGOTTEN: &str = "the agent was forgotten";

/// Forgets agents.
pub(crate) async fn agents(ctx: Rc<Context>, agents: Vec<AgentUid>, progress: &ProgressSender) -> FleetReport {
    progress.tell(ProvisionProgress::Planned { agents: agents.len() });
    FleetReport {
        agents: each(&ctx, agents, progress).await,
        ..FleetReport::default()
    }
}

/// Forgets a gateway with the agents and boards on it. A failure keeps the gateway on record, so that it can
/// be tried again.
pub(crate) async fn gateway(ctx: Rc<Context>, gateway: GatewayUid, progress: &ProgressSender) -> FleetReport {
    let filter = AgentFilter {
        gateway: Some(gateway),
        ..AgentFilter::default()
    };
    let mut report = match ctx.store.agents(&filter).await {
        Ok(found) => agents(Rc::clone(&ctx), found.iter().map(|agent| agent.id).collect(), progress).await,
        Err(error) => {
            return FleetReport {
                gateways: vec![failed(gateway, error.into())],
                ..FleetReport::default()
            };
        }
    };
    if report.failed().next().is_none()
        && let Err(error) = without_agents(&ctx, gateway).await
    {
        report.gateways.push(failed(gateway, error));
    }
    report
}

/// Deletes the records of the gateway and its boards.
async fn without_agents(ctx: &Context, gateway: GatewayUid) -> Result<(), StepError> {
    let filter = BoardFilter {
        gateway: Some(gateway),
        ..BoardFilter::default()
    };
    for board in ctx.store.boards(&filter).await? {
        if ctx.store.delete_board(board.id).await? {
            note(ctx, "board.forgotten", &board.name, None, Some(board.id)).await;
        }
    }
    let record = ctx.store.gateway(gateway).await?;
    if ctx.store.delete_gateway(gateway).await? {
        let name = record.map(|record| record.name).unwrap_or_default();
        note(ctx, "gateway.forgotten", &name, None, None).await;
    }
    Ok(())
}

pub(super) async fn each(ctx: &Context, agents: Vec<AgentUid>, progress: &ProgressSender) -> Vec<AgentReport> {
    let mut reports = Vec::with_capacity(agents.len());
    for agent in agents {
        let report = one(ctx, agent).await;
        progress.tell(ProvisionProgress::ended(&report));
        reports.push(report);
    }
    reports
}

async fn one(ctx: &Context, id: AgentUid) -> AgentReport {
    let _held = ctx.locks.hold([id]).await;
    let mut report = AgentReport {
        agent: id,
        name: String::new(),
        changes: Changes::default(),
        warnings: Vec::new(),
        failure: None,
        skipped: None,
    };
    match forget(ctx, id).await {
        Ok(agent) => {
            note(ctx, "agent.forgotten", &agent.name, Some(agent.id), agent.board_id).await;
            report.changes.forgotten = true;
            report.name = agent.name;
        }
        Err(why) => report.failure = Some(FailedStep::at(StepName::DeleteAgent, why).explain()),
    }
    ctx.deadline_moved();
    report
}

/// Deletes an agent's record, and ends the run that it has under way in the same transaction: a run without an agent would be
/// taken up at every start.
async fn forget(ctx: &Context, id: AgentUid) -> Result<Agent, StepError> {
    let agent = ctx.store.agent(id).await?.ok_or(StepError::Gone)?;
    match gateways::active_run(ctx, id).await {
        Some(mut run) => {
            run.state = RunState::Failed;
            run.ended_at = Some(ctx.now());
            run.error = Some(FORGOTTEN.to_owned());
            ctx.store.end_run_and_delete(&run).await?;
        }
        None => {
            ctx.store.delete_agent(id).await?;
        }
    }
    Ok(agent)
}

async fn note(ctx: &Context, kind: &str, name: &str, agent_id: Option<AgentUid>, board_id: Option<BoardId>) {
    let activity = NewActivity {
        actor: None,
        source: None,
        kind: kind.to_owned(),
        message: format!("{name}: forgotten, without a word to the gateway"),
        agent_id,
        board_id,
        at: ctx.now(),
    };
    if let Err(error) = ctx.store.record(&activity).await {
        tracing::warn!("an activity could not be recorded: {error}");
    }
}

fn failed(gateway: GatewayUid, why: StepError) -> GatewayFailure {
    let failure = FailedStep::at(StepName::DeleteAgent, why).explain();
    GatewayFailure {
        gateway,
        summary: failure.summary,
        next_step: failure.next_step,
    }
}

/// The interval of the search for old records: records that are kept for weeks may stay some hours longer.
const EVERY: Duration = Duration::from_hours(6);

/// The pause between two pages, so that other users of the store do not wait long.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs for as long as the provisioner.
pub(super) async fn delete_old_records(ctx: Rc<Context>) {
    loop {
        failpoint::reach("housekeeping");
        match clean(&ctx).await {
            Ok((0, 0)) => {}
            Ok((runs, activities)) => tracing::info!(runs, activities, "old records were deleted"),
            Err(error) => tracing::warn!("old records could not be deleted: {error}"),
        }
        sleep(EVERY).await;
    }
}

/// How many runs and activities were deleted.
async fn clean(ctx: &Context) -> Result<(u64, u64), StoreError> {
    let (keep, now) = (ctx.settings.keep, ctx.now());
    let (mut runs, mut activities) = (0, 0);
    loop {
        let page = ctx.store.prune_runs(now.saturating_sub(keep.runs), PAGE_LIMIT).await?;
        runs += page;
        if is_last(page) {
            break;
        }
        sleep(PAUSE).await;
    }
    loop {
        let page = ctx
            .store
            .prune_activities(now.saturating_sub(keep.activities), PAGE_LIMIT)
            .await?;
        activities += page;
        if is_last(page) {
            break;
        }
        sleep(PAUSE).await;
    }
    Ok((runs, activities))
}

const fn is_last(page: u64) -> bool {
    page < PAGE_LIMIT as u64
}
