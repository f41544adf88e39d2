//! A job on the screen while it is under way.
//!
//! On a terminal: a bar for all, a line for each agent that is worked on, and one for the wait for a gateway's write limit. Otherwise
//! a line for each agent that is done, or with `--json` everything as JSON lines. Bars and lines go to stderr, JSON to stdout.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use windlass::agents::{Operation, Progress};
use windlass::store::AgentUid;

use crate::exit::Failure;
use crate::fleet::Watched;
use crate::output::Output;
use crate::store::shown;
use crate::text::{counted, escaped, span};

/// Agents under way that have a line; the others are in the bar only. Fits the smallest terminals in use.
const AGENT_LINES: usize = 12;

/// Longest reason shown on a line, in characters; the report has all of it.
const REASON_LIMIT: usize = 200;

/// Between two turns of a spinner.
const TURN: Duration = Duration::from_millis(120);

/// Where progress is shown.
pub(crate) struct Screen<'a> {
    output: &'a Output,
    bars: Option<Bars>,
    agents: usize,
    ended: BTreeSet<AgentUid>,
    waiting: bool,
}

/// What is drawn on a terminal.
struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    wait: ProgressBar,
    under_way: BTreeMap<AgentUid, ProgressBar>,
}

impl<'a> Screen<'a> {
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
    pub(crate) async fn follow<T>(mut self, mut operation: Operation<T>, mut lines: Watched) -> Result<T, Failure> {
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

    fn show(&mut self, news: &Progress) -> Result<(), Failure> {
        if self.output.json() {
            self.output.value(news)?;
            return Ok(());
        }
        match news {
            Progress::Planned { agents } => {
                self.agents = *agents;
                if let Some(bars) = &self.bars {
                    bars.total.set_length(*agents as u64);
                }
            }
            Progress::Step { agent, name, step } => {
                self.stop_waiting();
                if let Some(bars) = &mut self.bars {
                    bars.step(*agent, format!("{}: {step}", shown(name)));
                }
            }
            Progress::WaitingToWrite { agents, ms } => self.wait(*agents, Duration::from_millis(*ms)),
            Progress::Ended {
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

    fn clear(&self) {
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

/// The last JSON line of a job: its report, with what tells it from the news before it.
pub(crate) fn final_line(command: &str, report: &windlass::agents::FleetReport) -> serde_json::Value {
    json!({
        "news": "report",
        "command": command,
        "agents": report.agents,
        "gateways": report.gateways,
        "configWrites": report.config_writes,
    })
}
