//! A gateway that has its agents in an included file is provisioned like any other.

use std::time::Duration;

use serde_json::{Value, json};
use windlass::agents::{FleetReport, Job, RunOptions};

use super::kit::{Fleet, all_done};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, check, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "included-config",
    what: "With agents in an included file, all are provisioned, a second run writes nothing, and they are deleted",
    // Two starts and the turns of all agents, on a busy machine.
    deadline: Duration::from_secs(900),
    run: |ctx| Box::pin(run(ctx)),
};

/// The included file, in the folder of the configuration.
const FILE: &str = "agents.json5";

/// Releases that write no section of the configuration that is included: 2026.5.12 and 2026.8.2 create no agent, the others change
/// none.
const REFUSING: [&str; 4] = ["2026.5.12", "2026.6.11", "2026.7.1", "2026.8.2"];

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut fleet = Fleet::up(ctx, false).await?;
    include_agents(&mut fleet).await?;
    let team = fleet.team.workers.to_vec();
    let job = Job::Provision {
        agents: team.clone(),
        options: RunOptions::default(),
    };
    let report = fleet.service.work(job).await?;
    if REFUSING.contains(&ctx.release().name()) {
        return refused(fleet, &report).await;
    }
    all_done(&report)?;
    let writes = report.config_writes;
    let included = is_included(&fleet)?;
    let mark = fleet.service.requests.mark();
    let again = fleet.service.provision(team.clone(), RunOptions::default()).await?;
    check_eq("agents that changed again", &again.changed().count(), &0)?;
    check_eq(
        "writes of the second run",
        &fleet.service.requests.writes_since(mark),
        &Vec::new(),
    )?;
    let gone = fleet.record(team[0]).await?.agent_id();
    let job = Job::Delete {
        agents: vec![team[0]],
        delete_files: true,
    };
    all_done(&fleet.service.work(job).await?)?;
    let config = fleet.ask_patiently("config.get", json!({})).await?;
    let text = config["config"]["agents"].to_string();
    check(!text.contains(gone.as_str()), || {
        format!("{gone} is still configured: {text}")
    })?;
    fleet.finish().await?;
    let kept = if included {
        "the file stays the agents' own"
    } else {
        "the release takes the file into its main one"
    };
    Ok(Outcome::passed_with(format!("{writes} configuration writes; {kept}")))
}

/// Every agent failed, and its error has the gateway's own words.
async fn refused(fleet: Fleet, report: &FleetReport) -> Result<Outcome, Failure> {
    let failures: Vec<String> = report
        .failed()
        .filter_map(|agent| agent.failure.as_ref().map(ToString::to_string))
        .collect();
    let told = failures
        .iter()
        .all(|text| text.contains("$include-owned config at agents") || text.contains("included config changed"));
    check(told && !failures.is_empty(), || {
        format!("the refusal is not shown: {failures:?}")
    })?;
    fleet.finish().await?;
    Ok(Outcome::not_possible(
        "the release does not write configuration that is included; each agent's error has its words",
    ))
}

/// Moves the agents into a file of their own, and starts the gateway again.
async fn include_agents(fleet: &mut Fleet) -> Result<(), Failure> {
    let real = &mut fleet.bench.real;
    let agents = real.read_config()?["agents"].take();
    std::fs::write(real.state_dir().join(FILE), agents.to_string())?;
    real.kill().await?;
    // Merging would leave the members beside the reference.
    real.merge_config(&json!({"agents": Value::Null}))?;
    real.merge_config(&json!({"agents": {"$include": format!("./{FILE}")}}))?;
    real.start_again().await?;
    fleet.bench.wait_up().await?;
    fleet.bench.started().await
}

/// Whether the main file still refers to the other one.
fn is_included(fleet: &Fleet) -> Result<bool, Failure> {
    let config = fleet.bench.real.read_config()?;
    Ok(config["agents"].get("$include").is_some())
}
