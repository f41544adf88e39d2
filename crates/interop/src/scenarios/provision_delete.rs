//! An agent is taken off its gateway, with its session and its record; the gateway's own agent cleans up.

use std::time::Duration;

use serde_json::json;
use windlass::{
    agents::{Job, RunOptions},
    store::Agent,
};

use super::kit::{ANSWER, Fleet, LOOK, Roster, TURN, all_done, answers_of, offers, refusal};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "provision-delete",
    what: "Deleting takes an agent off the gateway, with its session and its record, and its main agent is told",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut fleet = Fleet::up(ctx, false).await?;
    let [gone, stays] = fleet.team.workers;
    let (main, service) = (fleet.team.main, &fleet.service);
    service
        .provision(vec![main, gone, stays], RunOptions::default())
        .await?;
    let worker = fleet.record(gone).await?;
    let awake = [fleet.record(main).await?, worker.clone(), fleet.record(stays).await?];
    answers_of(&mut fleet.stream, &awake, TURN).await?;
    let delete = || Job::Delete {
        agents: vec![gone],
        delete_files: true,
    };
    let report = fleet.service.work(delete()).await?;
    let by_method = offers(&fleet.bench, "agents.delete")?;
    all_done(&report)?;
    check_eq(
        "the record",
        &fleet.store.agent(gone).await?.map(|agent| agent.name),
        &None,
    )?;
    let roster = Roster::read(&fleet.bench).await?;
    check_eq("its entries", &roster.entries(worker.agent_id().as_str()).len(), &0)?;
    roster.check(&fleet.team, &awake[2])?;
    let left = sessions_left(&fleet, &worker).await?;
    let told = format!("The agent {} was deleted", worker.name);
    let told = ctx.model().log().wait_for(TURN, |run| run.words.contains(&told)).await;
    check(told.is_some(), || "the main agent was not told".to_owned())?;
    // No work is left, and the main agent gets no second message.
    let mark = fleet.service.requests.mark();
    let again = fleet.service.work(delete()).await?;
    check_eq("agents that a second run deletes", &again.failed().count(), &1)?;
    check_eq(
        "writes of the second run",
        &fleet.service.requests.writes_since(mark),
        &Vec::new(),
    )?;
    fleet.finish().await?;
    Ok(match left {
        Some(left) if by_method => Outcome::passed_with(format!("{left} of 3 sessions are left")),
        Some(left) => Outcome::passed_with(format!(
            "taken out of the configuration, for there is no agents.delete: its files stay; {left} of 3 sessions are left"
        )),
        None => Outcome::not_possible(
            "agent and record are gone, but the session stays listed: the gateway deletes no main session",
        ),
    })
}

/// How long a deleted agent's session may still be listed.
const LISTED: Duration = Duration::from_secs(15);

/// Waits until the agent's session is no longer listed, and tells how many are. Nothing when it stays because the gateway
/// deletes no such session, not even that of an agent that is gone (2026.8.2).
async fn sessions_left(fleet: &Fleet, agent: &Agent) -> Result<Option<usize>, Failure> {
    let look = async {
        loop {
            let keys = sessions(fleet).await?;
            if !keys.contains(&agent.session_key.to_string()) {
                return Ok::<_, Failure>(Some(keys.len()));
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    if let Ok(left) = tokio::time::timeout(LISTED, look).await {
        return left;
    }
    let delete = fleet
        .bench
        .gateway
        .call("sessions.delete", json!({"key": agent.session_key}));
    let end = delete.timeout(ANSWER).await;
    let kept = refusal(&end).is_some_and(|refused| refused.error.message.starts_with("Cannot delete the main session"));
    check(kept, || format!("the session {} is still there", agent.session_key))?;
    Ok(None)
}

/// The keys of the fleet's sessions.
async fn sessions(fleet: &Fleet) -> Result<Vec<String>, Failure> {
    let list = fleet.ask_patiently("sessions.list", json!({"limit": 100})).await?;
    let rows = list.as_array().or_else(|| list["sessions"].as_array());
    let keys = rows.into_iter().flatten().filter_map(|row| row["key"].as_str());
    let ours = keys.filter(|key| key.starts_with("agent:mc-"));
    Ok(ours.map(str::to_owned).collect())
}
