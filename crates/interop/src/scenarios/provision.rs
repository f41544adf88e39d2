//! A whole fleet of one gateway is brought to life in one operation, and everything is read back.

use windlass::{
    agents::{FleetReport, RunOptions},
    store::{Agent, AgentRole, AgentStatus},
};

use super::kit::{Fleet, Roster, TURN, Workspace, answers_of, has_files, references};
use crate::{
    clock,
    scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check, check_eq},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "provision",
    what: "Main, lead and two workers are provisioned by one configuration write: files, roster and heartbeat read back \
           as rendered, each wake is answered",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

/// Gateways take it for done where the other files are no longer as they wrote them, and delete it when the first turn begins
/// (2026.8.2, 2026.9.6).
const BOOTSTRAP: &str = "BOOTSTRAP.md";

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut fleet = Fleet::up(ctx, false).await?;
    let began = clock::now();
    let report = fleet.provision(RunOptions::default()).await?;
    let took = clock::now().duration_since(began);
    let agents = fleet.records().await?;
    answers_of(&mut fleet.stream, &agents, TURN).await?;
    check_eq("configuration writes", &report.config_writes, &1)?;
    let patches = fleet.service.requests.count("config.patch");
    check_eq("config.patch requests", &patches, &1)?;
    let roster = Roster::read(&fleet.bench).await?;
    roster.check_shared()?;
    for agent in &agents {
        check_eq(
            &format!("status of {}", agent.name),
            &agent.status,
            &AgentStatus::Online,
        )?;
        check_eq("error on record", &agent.last_provision_error, &None)?;
        roster.check(&fleet.team, agent)?;
        let told = references(&fleet.bench, agent).await?;
        check_eq(&format!("messages to {}", agent.name), &told.len(), &1)?;
    }
    let mut notes = vec![format!("{:.0} s, 1 configuration write", took.as_secs_f64().ceil())];
    notes.extend(check_files(&fleet, &agents, &report).await?);
    fleet.finish().await?;
    Ok(Outcome::Passed { notes })
}

/// Reads everything back. Returns the features that this gateway lacks.
async fn check_files(fleet: &Fleet, agents: &[Agent], report: &FleetReport) -> Result<Option<String>, Failure> {
    if !has_files(&fleet.bench)? {
        let told = |told: &windlass::agents::AgentReport| told.changes.written.is_empty() && !told.warnings.is_empty();
        check(report.agents.iter().all(told), || {
            "that no files were written was not told".to_owned()
        })?;
        let note = "agents come by configuration, and files are not possible: no methods for either";
        return Ok(Some(note.to_owned()));
    }
    let mut taken = None;
    for agent in agents {
        let there = Workspace::read(&fleet.bench, agent).await?;
        let mut bootstrap = agent.role() == AgentRole::Lead;
        if bootstrap && !there.files.contains_key(BOOTSTRAP) {
            let told = report.agents.iter().find(|told| told.agent == agent.id);
            check(
                told.is_some_and(|told| told.changes.written.iter().any(|name| name == BOOTSTRAP)),
                || "the lead got no BOOTSTRAP.md".to_owned(),
            )?;
            bootstrap = false;
            taken = Some("the gateway takes BOOTSTRAP.md away before the first turn".to_owned());
        }
        there.check(&fleet.team, agent, bootstrap)?;
    }
    Ok(taken)
}
