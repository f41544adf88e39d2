//! Agents without drift are not changed: everything is done a second time, and nothing is written.

use windlass::agents::{Ensure, Job, RunOptions, SyncOptions};

use super::kit::{Fleet, all_done, answers_of};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "provision-again",
    what: "A second run of everything (provision, ensure, sync, plan) writes nothing, counted on the wire",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut fleet = Fleet::up(ctx, false).await?;
    fleet.provision(RunOptions::default()).await?;
    let agents = fleet.records().await?;
    answers_of(&mut fleet.stream, &agents, super::kit::TURN).await?;
    let (service, team) = (&fleet.service, &fleet.team);
    let mark = service.requests.mark();
    let report = service.provision(team.all(), RunOptions::default()).await?;
    let changed: Vec<_> = report.changed().map(|agent| (&agent.name, &agent.changes)).collect();
    check(changed.is_empty(), || format!("a second run changed {changed:?}"))?;
    let options = SyncOptions {
        include_main: true,
        ..SyncOptions::default()
    };
    let gateway = team.gateway.id;
    let report = service.work(Job::Sync { gateway, options }).await?;
    all_done(&report)?;
    check_eq("agents of the sync", &report.agents.len(), &agents.len())?;
    for (wanted, there) in [
        (Ensure::Main { gateway }, team.main),
        (
            Ensure::Lead {
                board: team.board.id,
                name: None,
            },
            team.lead,
        ),
    ] {
        let operation = service.agents.ensure(wanted, RunOptions::default()).await?;
        let ensured = operation.report().await??;
        check_eq(
            "agent that must be there",
            &(ensured.agent, ensured.created),
            &(there, false),
        )?;
    }
    for id in team.all() {
        let plan = service.agents.plan(id, RunOptions::default()).await?;
        check(!plan.any(), || format!("it would do more: {plan:?}"))?;
    }
    check_eq(
        "writes of the second run",
        &service.requests.writes_since(mark),
        &Vec::new(),
    )?;
    let asked = service.requests.mark() - mark;
    fleet.finish().await?;
    Ok(Outcome::passed_with(format!("{asked} requests, none of them a write")))
}
