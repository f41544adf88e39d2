//! An agent that is seen at work on the gateway's events has answered its wake.

use std::time::Duration;

use windlass::{
    agents::RunOptions,
    store::{Agent, AgentStatus},
};

use super::kit::{Fleet, LOOK, TURN, answers_of};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "activity",
    what: "An agent that answers its wake on the gateway's events counts as seen: no deadline, no second wake",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

/// An agent that is not seen is woken again after 30 s.
const QUIET: Duration = Duration::from_secs(40);
/// From the last word of a run to its trace in the store.
const NOTED: Duration = Duration::from_secs(10);

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut fleet = Fleet::up(ctx, true).await?;
    fleet.provision(RunOptions::default()).await?;
    let agents = fleet.records().await?;
    answers_of(&mut fleet.stream, &agents, TURN).await?;
    let seen = seen(&fleet).await?;
    let wakes = fleet.service.requests.count("chat.send");
    check_eq("wakes", &wakes, &agents.len())?;
    let again = fleet.service.requests.wait_for(&["chat.send"], wakes + 1, QUIET).await;
    check(again.is_err(), || "an agent that was seen was woken again".to_owned())?;
    for agent in fleet.records().await? {
        check_eq(
            &format!("status of {}", agent.name),
            &agent.status,
            &AgentStatus::Online,
        )?;
    }
    fleet.finish().await?;
    Ok(Outcome::passed_with(format!(
        "{seen} agents seen, nobody woken again within {} s",
        QUIET.as_secs()
    )))
}

/// Waits until every agent was seen and has no deadline.
async fn seen(fleet: &Fleet) -> Result<usize, Failure> {
    let is_seen = |agent: &Agent| agent.last_seen_at.is_some() && agent.checkin_deadline_at.is_none();
    let look = async {
        while !fleet.records().await?.iter().all(is_seen) {
            tokio::time::sleep(LOOK).await;
        }
        Ok::<_, Failure>(())
    };
    let found = tokio::time::timeout(NOTED, look).await;
    let agents = fleet.records().await?;
    let unseen: Vec<_> = agents.iter().filter(|agent| !is_seen(agent)).collect();
    if let Ok(found) = found {
        found?;
    }
    check(unseen.is_empty(), || {
        format!("not seen, though they answered: {unseen:?}")
    })?;
    Ok(agents.len())
}
