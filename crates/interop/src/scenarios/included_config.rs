//! A gateway whose agents stand in an included file is provisioned like any other.

use std::time::Duration;

use serde_json::{Value, json};
use windlass::agents::{Job, RunOptions};

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

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut fleet = Fleet::up(ctx, false).await?;
    include_agents(&mut fleet).await?;
    let team = fleet.team.workers.to_vec();
    let report = fleet.helm.provision(team.clone(), RunOptions::default()).await?;
    let writes = report.config_writes;
    let included = is_included(&fleet)?;
    let mark = fleet.helm.requests.mark();
    let again = fleet.helm.provision(team.clone(), RunOptions::default()).await?;
    check_eq("agents that changed again", &again.changed().count(), &0)?;
    check_eq(
        "writes of the second run",
        &fleet.helm.requests.writes_since(mark),
        &Vec::new(),
    )?;
    let gone = fleet.record(team[0]).await?.agent_id();
    let job = Job::Delete {
        agents: vec![team[0]],
        delete_files: true,
    };
    all_done(&fleet.helm.work(job).await?)?;
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
