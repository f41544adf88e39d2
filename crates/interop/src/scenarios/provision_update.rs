//! An update corrects the files of Windlass, and does not change the files that the agent has changed itself.

use windlass::{
    agents::{FleetReport, RunOptions},
    store::{Agent, AgentRole},
};

use super::kit::{Fleet, TURN, Workspace, answers_of, has_files, offers, write};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "provision-update",
    what: "An update mends SOUL.md, keeps an agent's own USER.md and MEMORY.md, and overwrites them only when told to",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

/// A text that an agent writes by itself.
const OWN: &str = "# Mine\n\nThe harbour master likes tea.\n";
const CHANGED: [&str; 3] = ["MEMORY.md", "SOUL.md", "USER.md"];

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut fleet = Fleet::up(ctx, false).await?;
    if !has_files(&fleet.bench)? {
        fleet.finish().await?;
        return Ok(Outcome::not_possible("no methods for the files of agents"));
    }
    fleet.provision(RunOptions::default()).await?;
    let agents = fleet.records().await?;
    answers_of(&mut fleet.stream, &agents, TURN).await?;
    let first = read_all(&fleet, &agents).await?;
    for agent in &agents {
        for name in CHANGED {
            write(&fleet.bench, agent, name, OWN).await?;
        }
    }
    let report = fleet.provision(RunOptions::quiet()).await?;
    let updated = read_all(&fleet, &agents).await?;
    for ((agent, before), after) in agents.iter().zip(&first).zip(&updated) {
        let is_main = agent.role() == AgentRole::Main;
        let kept = if is_main {
            &["MEMORY.md"][..]
        } else {
            &["MEMORY.md", "USER.md"]
        };
        check_update(agent, before, after, kept)?;
        check_report(&report, agent, kept)?;
    }
    let forced = RunOptions {
        overwrite: true,
        force_bootstrap: true,
        ..RunOptions::quiet()
    };
    fleet.provision(forced).await?;
    for (agent, there) in fleet.records().await?.iter().zip(read_all(&fleet, &agents).await?) {
        there.check(&fleet.team, agent, true)?;
    }
    let stale = if offers(&fleet.bench, "agents.files.delete")? {
        "stale files can be deleted"
    } else {
        "deleting stale files is not possible: no agents.files.delete"
    };
    fleet.finish().await?;
    Ok(Outcome::passed_with(stale))
}

async fn read_all(fleet: &Fleet, agents: &[Agent]) -> Result<Vec<Workspace>, Failure> {
    let mut all = Vec::new();
    for agent in agents {
        all.push(Workspace::read(&fleet.bench, agent).await?);
    }
    Ok(all)
}

/// All files are unchanged, except for the files that the agent may keep.
fn check_update(agent: &Agent, before: &Workspace, after: &Workspace, kept: &[&str]) -> Result<(), Failure> {
    for (name, text) in &before.files {
        let expected = if kept.contains(&name.as_str()) { OWN } else { text };
        let what = format!("{name} of {} after the update", agent.name);
        check_eq(&what, &after.files.get(name).map(String::as_str), &Some(expected))?;
    }
    check_eq("scratch after the update", &after.scratch, &before.scratch)
}

fn check_report(report: &FleetReport, agent: &Agent, kept: &[&str]) -> Result<(), Failure> {
    let told = report.agents.iter().find(|told| told.agent == agent.id);
    let changes = &told
        .ok_or_else(|| Failure::new("an agent is missing in the report"))?
        .changes;
    let mut preserved = changes.preserved.clone();
    preserved.sort();
    check_eq(
        "files that were left alone",
        &preserved,
        &kept.iter().map(ToString::to_string).collect(),
    )?;
    let mended = CHANGED.iter().filter(|name| !kept.contains(name));
    for name in mended {
        check(changes.written.iter().any(|written| written == name), || {
            format!("{name} of {} was not told as written: {changes:?}", agent.name)
        })?;
    }
    check(!changes.woken, || "a quiet update woke its agent".to_owned())
}
