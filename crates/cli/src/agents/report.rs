//! The end of a job.

use windlass::agents::{AgentReport, Changes, Failure as AgentFailure, FleetReport};
use windlass::store::{Agent, StepName};

use crate::agents::progress::final_line;
use crate::agents::workshop::AllDown;
use crate::columns::{Cell, Table};
use crate::exit::{Exit, Failure};
use crate::output::{BAD, DIM, GOOD, Output, WARN};
use crate::store::{Records, shown};
use crate::text::{counted, escaped};

/// Longest text of a failure or warning shown, in characters; `--json` shows all of it.
const TEXT_LIMIT: usize = 2_000;

/// Reports of the agents whose gateways can't be worked with now: nothing was tried.
pub(crate) fn of_those_down(agents: &[&Agent], down: &AllDown) -> Vec<AgentReport> {
    let reports = agents.iter().filter_map(|agent| {
        let down = down.get(&agent.gateway_id)?;
        Some(AgentReport {
            agent: agent.id,
            name: agent.name.clone(),
            changes: Changes::default(),
            warnings: Vec::new(),
            failure: Some(AgentFailure {
                step: StepName::Agent,
                summary: down.advice.summary.to_string(),
                next_step: down.advice.next_step.to_string(),
                transient: true,
            }),
            skipped: None,
        })
    });
    reports.collect()
}

/// The exit code of a job: that of the gateways that are down, where nothing else went wrong.
pub(crate) fn exit_of(report: &FleetReport, down: &AllDown) -> Exit {
    let failed = report.failed().count();
    let worst = down.values().map(|down| down.exit).max();
    match worst {
        None if failed == 0 && report.gateways.is_empty() => Exit::Ok,
        Some(worst) if failed == report.agents.len() => worst,
        _ => Exit::Agents,
    }
}

/// Shows the report.
pub(crate) fn show(command: &str, report: &FleetReport, records: &Records, output: &Output) -> Result<(), Failure> {
    if output.json() {
        output.value(&final_line(command, report))?;
        return Ok(());
    }
    let rows: Vec<Vec<Cell>> = report.agents.iter().map(row).collect();
    let table = Table::new(&["AGENT", "RESULT", "WHAT"], &rows);
    let mut lines = table.lines_with(output.width(), |index| notes(&report.agents[index]));
    for gateway in &report.gateways {
        let name = records.gateway_name(gateway.gateway);
        lines.push(format!("{BAD}gateway {name}{BAD:#}"));
        lines.extend(why(&gateway.summary, &gateway.next_step));
    }
    lines.push(summary(report));
    output.line(&lines.join("\n"))?;
    Ok(())
}

fn row(agent: &AgentReport) -> Vec<Cell> {
    let result = match agent {
        AgentReport { failure: Some(_), .. } => Cell::styled("failed", BAD),
        AgentReport { skipped: Some(_), .. } => Cell::styled("skipped", WARN),
        agent if agent.changes.any() => Cell::styled("done", GOOD),
        _ => Cell::styled("unchanged", DIM),
    };
    let what = changes(&agent.changes);
    let what = if what.is_empty() { "-".into() } else { what.join(", ") };
    vec![Cell::plain(shown(&agent.name)), result, Cell::plain(what)]
}

fn notes(agent: &AgentReport) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    if let Some(skipped) = &agent.skipped {
        lines.push(format!("  {DIM}why:{DIM:#}  {}", escaped(skipped, TEXT_LIMIT)));
    }
    for warning in &agent.warnings {
        lines.push(format!("  {WARN}note:{WARN:#} {}", escaped(warning, TEXT_LIMIT)));
    }
    if let Some(failure) = &agent.failure {
        lines.extend(why(
            &format!("{}: {}", failure.step, failure.summary),
            &failure.next_step,
        ));
    }
    lines
}

fn why(summary: &str, next_step: &str) -> Vec<String> {
    let mut lines = vec![format!("  {BAD}why:{BAD:#}  {}", escaped(summary, TEXT_LIMIT))];
    if !next_step.is_empty() {
        lines.push(format!("  {DIM}next:{DIM:#} {}", escaped(next_step, TEXT_LIMIT)));
    }
    lines
}

/// What was written for an agent, in words.
fn changes(changes: &Changes) -> Vec<String> {
    let mut words: Vec<String> = [
        (changes.created, "created"),
        (changes.updated, "renamed or moved"),
        (changes.config, "configured"),
        (changes.scratch, "heartbeat instructions"),
        (changes.rotated, "new token"),
        (changes.reset, "session reset"),
        (changes.woken, "woken"),
        (changes.removed, "removed"),
        (changes.forgotten, "forgotten"),
    ]
    .into_iter()
    .filter(|(happened, _)| *happened)
    .map(|(_, word)| word.to_owned())
    .collect();
    for (names, word) in [
        (&changes.written, "wrote"),
        (&changes.deleted, "deleted"),
        (&changes.preserved, "left alone"),
        (&changes.unsupported, "not taken"),
    ] {
        if !names.is_empty() {
            words.push(format!("{word} {}", shown(&names.join(" "))));
        }
    }
    words
}

fn summary(report: &FleetReport) -> String {
    let (all, changed, failed) = (report.agents.len(), report.changed().count(), report.failed().count());
    let skipped = report.agents.iter().filter(|agent| agent.skipped.is_some()).count();
    let writes = report.config_writes;
    let (all, writes) = (counted(all, "agent"), counted(writes, "configuration write"));
    format!("{all}: {changed} changed, {failed} failed, {skipped} skipped; {writes}")
}
