//! A job on the screen while it runs, and its report at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use windlass::agents::{
    AgentReport, Changes, FleetReport, Operation, ProvisionFailure as AgentFailure, ProvisionProgress,
};
use windlass::store::{Agent, AgentUid, StepName};

use crate::agents::context::{AllDown, WatchedLines};
use crate::columns::{Cell, TextTable};
use crate::exit::{ExitCode, Failure};
use crate::output::{BAD, DIM, GOOD, Output, WARN};
use crate::store::{Records, shown};
use crate::text::{counted, escaped, span};

/// Agents under way that have a line; the others are in the bar only. Fits the smallest terminals in use.
const AGENT_LINES: usize = 12;

/// Longest reason shown on a line, in characters; the report has all of it.
const REASON_LIMIT: usize = 200;

/// Between two turns of a spinner.
const TURN: Duration = Duration::from_millis(120);

/// Where progress is shown.
pub(crate) struct FleetScreen<'a> {
    output: &'a Output,
    bars: Option<Bars>,
    agents: usize,
    ended: BTreeSet<AgentUid>,
    waiting: bool,
}

/// The bars on a terminal.
struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    wait: ProgressBar,
    under_way: BTreeMap<AgentUid, ProgressBar>,
}

impl<'a> FleetScreen<'a> {
    pub(crate) fn new(output: &'a Output) -> Self {
        let draws = !output.json() && std::io::stderr().is_terminal();
        Self {
            output,
            bars: draws.then(Bars::new),
            agents: 0,
            ended: BTreeSet::new(),
            waiting: false,
        }
    }

    /// Shows an operation to its end, with the troubles of the lines that it uses.
    pub(crate) async fn follow<T>(
        mut self,
        mut operation: Operation<T>,
        mut lines: WatchedLines,
    ) -> Result<T, Failure> {
        let mut told = None;
        loop {
            tokio::select! {
                biased;
                news = operation.next() => match news {
                    Some(news) => self.show(&news)?,
                    None => break,
                },
                trouble = lines.next_trouble(&mut told) => self.note(&trouble),
            }
        }
        self.clear();
        Ok(operation.report().await?)
    }

    /// Shows one progress.
    pub(crate) fn show(&mut self, news: &ProvisionProgress) -> Result<(), Failure> {
        if self.output.json() {
            self.output.value(news)?;
            return Ok(());
        }
        match news {
            ProvisionProgress::Planned { agents } => {
                self.agents = *agents;
                if let Some(bars) = &self.bars {
                    bars.total.set_length(*agents as u64);
                }
            }
            ProvisionProgress::Step { agent, name, step } => {
                self.stop_waiting();
                if let Some(bars) = &mut self.bars {
                    bars.step(*agent, format!("{}: {step}", shown(name)));
                }
            }
            ProvisionProgress::WaitingToWrite { agents, ms } => self.wait(*agents, Duration::from_millis(*ms)),
            ProvisionProgress::Ended {
                agent,
                name,
                changed,
                failure,
            } => {
                self.ended.insert(*agent);
                let end = match failure {
                    Some(failure) => format!(
                        "failed at {}: {}",
                        failure.step,
                        escaped(&failure.summary, REASON_LIMIT)
                    ),
                    None if *changed => "done".to_owned(),
                    None => "nothing to do".to_owned(),
                };
                self.end(*agent, &format!("{}: {end}", shown(name)), failure.is_some());
            }
            _ => {}
        }
        Ok(())
    }

    fn wait(&mut self, agents: usize, left: Duration) {
        let text = format!(
            "{} waiting for the gateway's write limit: {} more",
            counted(agents, "agent"),
            span(left)
        );
        match &self.bars {
            Some(bars) => {
                bars.wait.set_message(text);
                bars.wait.tick();
            }
            // Once in a row: it is told each second.
            None if !self.waiting => self.output.note(&text),
            None => {}
        }
        self.waiting = true;
    }

    fn stop_waiting(&mut self) {
        if std::mem::take(&mut self.waiting)
            && let Some(bars) = &self.bars
        {
            bars.wait.set_message("");
        }
    }

    fn end(&mut self, agent: AgentUid, text: &str, failed: bool) {
        let (ended, agents) = (self.ended.len(), self.agents);
        match &mut self.bars {
            Some(bars) => {
                if let Some(line) = bars.under_way.remove(&agent) {
                    bars.all.remove(&line);
                }
                bars.total.set_position(ended as u64);
                if failed {
                    // Nothing can be told where there is no terminal any more.
                    let _ = bars.all.println(text);
                }
            }
            None => self.output.progress(&format!("{ended}/{agents} {text}")),
        }
    }

    /// Something to know, above the bars.
    fn note(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.all.suspend(|| self.output.note(text)),
            None => self.output.note(text),
        }
    }

    /// Takes the bars away.
    pub(crate) fn clear(&self) {
        if let Some(bars) = &self.bars {
            // Without a terminal there is nothing left to clear.
            let _ = bars.all.clear();
        }
    }
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let total = all.add(ProgressBar::new(0).with_style(style("{bar:30} {pos}/{len} agents  {elapsed}")));
        total.enable_steady_tick(TURN);
        let wait = all.add(ProgressBar::new_spinner().with_style(style("{wide_msg}")));
        Self {
            all,
            total,
            wait,
            under_way: BTreeMap::new(),
        }
    }

    fn step(&mut self, agent: AgentUid, text: String) {
        if !self.under_way.contains_key(&agent) && self.under_way.len() >= AGENT_LINES {
            return;
        }
        let line = self.under_way.entry(agent).or_insert_with(|| {
            let line = ProgressBar::new_spinner().with_style(style("  {spinner} {wide_msg}"));
            let line = self.all.insert_before(&self.wait, line);
            line.enable_steady_tick(TURN);
            line
        });
        line.set_message(text);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// The last JSON line of a job: its report, marked with `"news": "report"`.
pub(crate) fn final_line(command: &str, report: &FleetReport) -> serde_json::Value {
    json!({
        "news": "report",
        "command": command,
        "agents": report.agents,
        "gateways": report.gateways,
        "configWrites": report.config_writes,
    })
}

/// Longest text of a failure or warning shown, in characters; `--json` shows all of it.
const TEXT_LIMIT: usize = 2_000;

/// Reports of the agents on gateways that are down: nothing was tried.
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
pub(crate) fn report_exit(report: &FleetReport, down: &AllDown) -> ExitCode {
    let failed = report.failed().count();
    let worst = down.values().map(|down| down.exit).max();
    match worst {
        None if failed == 0 && report.gateways.is_empty() => ExitCode::Ok,
        Some(worst) if failed == report.agents.len() => worst,
        _ => ExitCode::Agents,
    }
}

/// Shows the report.
pub(crate) fn show_report(
    command: &str,
    report: &FleetReport,
    records: &Records,
    output: &Output,
) -> Result<(), Failure> {
    if output.json() {
        output.value(&final_line(command, report))?;
        return Ok(());
    }
    let rows: Vec<Vec<Cell>> = report.agents.iter().map(row).collect();
    let table = TextTable::new(&["AGENT", "RESULT", "WHAT"], &rows);
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

/// The changes that were made for an agent, in words.
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
