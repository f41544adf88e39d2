//! A new agent does not change existing agents. If one write serves many agents, the report of each has only its own changes.

use std::time::Duration;

use windlass::agents::RunOptions;
use windlass::store::AgentUid;

use super::kit::{Fleet, TURN, answers_of};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, check, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "unchanged-agents",
    what: "Agents that are as they should be are not woken when another is provisioned in the same configuration write",
    // Two starts and the turns of all agents, on a busy machine.
    deadline: Duration::from_secs(900),
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut fleet = Fleet::up(ctx, false).await?;
    let all = fleet.team.all();
    let (new, known) = all.split_last().ok_or_else(|| Failure::new("there are no agents"))?;
    fleet.service.provision(known.to_vec(), RunOptions::default()).await?;
    let mut agents = Vec::new();
    for id in known {
        agents.push(fleet.record(*id).await?);
    }
    answers_of(&mut fleet.stream, &agents, TURN).await?;
    for id in known {
        let plan = fleet.service.agents.plan(*id, RunOptions::default()).await?;
        check(!plan.any(), || format!("it would do more: {plan:?}"))?;
    }
    let woken = fleet.service.requests.count("chat.send");
    let report = fleet.service.provision(all.clone(), RunOptions::default()).await?;
    let changed: Vec<AgentUid> = report.changed().map(|agent| agent.agent).collect();
    check_eq("agents that changed", &changed, &vec![*new])?;
    let more = fleet.service.requests.count("chat.send") - woken;
    check_eq("wakes", &more, &1)?;
    let writes = report.config_writes;
    fleet.finish().await?;
    Ok(Outcome::passed_with(format!(
        "{writes} configuration writes, 1 of {} agents woken",
        all.len()
    )))
}
