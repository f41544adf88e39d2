//! The live view, the log, the last table.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use futures_util::future::select_all;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::sync::watch::Receiver;
use windlass::LineStatus;
use windlass_line::{Clock as _, TokioClock};

use crate::columns::{Cell, columns};
use crate::demo::load::{GatewayTally, Ledger};

use crate::demo::stage::{Act, DemoSetup, elapsed};
use crate::exit::Failure;
use crate::output::{BAD, DIM, GOOD, HEAD, Output, Redraw, WARN};
use crate::status::{change, style_of};

/// Between two drawings of the live view: smooth for an eye, cheap for a terminal.
const FRAME: Duration = Duration::from_millis(100);
/// Latest news below the live view.
const NEWS_LINES: usize = 4;

pub(crate) struct DemoScreen<'a> {
    output: &'a Output,
    clock: TokioClock,
    begun: Instant,
    live: RefCell<Live>,
}

#[derive(Default)]
struct Live {
    redraw: Redraw,
    news: Vec<String>,
}

impl<'a> DemoScreen<'a> {
    pub(crate) fn new(output: &'a Output, clock: TokioClock) -> Self {
        Self {
            output,
            clock,
            begun: clock.now(),
            live: RefCell::default(),
        }
    }

    fn seconds(&self) -> String {
        let elapsed = Duration::from_millis(elapsed(self.clock, self.begun));
        format!("{:4.1} s", elapsed.as_secs_f64())
    }

    pub(crate) fn introduce(&self, stage: &DemoSetup) -> Result<(), Failure> {
        if self.output.json() {
            return Ok(());
        }
        let names: Vec<_> = stage
            .casts
            .iter()
            .map(|cast| format!("{} ({})", cast.name, cast.release))
            .collect();
        let names = names.join(", ");
        self.output
            .line(&format!("{HEAD}Three simulated gateways:{HEAD:#} {names}."))?;
        self.output
            .line("Fifteen tasks read, chat and create agents while connections are cut and processes killed.\n")?;
        Ok(())
    }

    /// Shows states and news until it is dropped.
    pub(crate) async fn follow(
        &self,
        stage: &DemoSetup,
        ledger: &Ledger,
        news: &mut mpsc::Receiver<(usize, Act)>,
    ) -> Result<(), Failure> {
        let mut lines: Vec<Receiver<LineStatus>> = stage.casts.iter().map(|cast| cast.gateway.status()).collect();
        let mut open = true;
        loop {
            if self.output.redraws() {
                self.draw(stage, ledger, &lines)?;
            }
            let changed = async {
                select_all(lines.iter_mut().map(|line| Box::pin(line.changed())))
                    .await
                    .1
            };
            tokio::select! {
                act = news.recv(), if open => match act {
                    Some((index, act)) => self.tell_act(stage, index, act)?,
                    None => open = false,
                },
                index = changed => {
                    let status = lines[index].borrow_and_update().clone();
                    self.tell_change(&status)?;
                }
                () = tokio::time::sleep(FRAME), if self.output.redraws() => {}
            }
        }
    }

    fn tell_act(&self, stage: &DemoSetup, index: usize, act: Act) -> Result<(), Failure> {
        let name = stage.casts.get(index).map_or("?", |cast| cast.name);
        let whom = if act == Act::End { "demo" } else { name };
        if self.output.json() {
            let at = elapsed(self.clock, self.begun);
            return Ok(self
                .output
                .value(&json!({"type": "act", "atMs": at, "gateway": whom, "act": act.name()}))?);
        }
        self.log(format!(
            "{DIM}{}{DIM:#} {WARN}{whom}: {}{WARN:#}",
            self.seconds(),
            act.text()
        ))
    }

    fn tell_change(&self, status: &LineStatus) -> Result<(), Failure> {
        if self.output.json() {
            let at = elapsed(self.clock, self.begun);
            return Ok(self.output.value(&json!({
                "type": "line",
                "atMs": at,
                "gateway": status.id,
                "state": status.state.name(),
                "generation": status.generation,
            }))?);
        }
        if self.output.redraws() {
            return Ok(());
        }
        self.log(format!("{DIM}{}{DIM:#} {}", self.seconds(), change(status)))
    }

    fn log(&self, line: String) -> Result<(), Failure> {
        if !self.output.redraws() {
            return Ok(self.output.line(&line)?);
        }
        let news = &mut self.live.borrow_mut().news;
        news.push(line);
        let old = news.len().saturating_sub(NEWS_LINES);
        news.drain(..old);
        Ok(())
    }

    fn draw(&self, stage: &DemoSetup, ledger: &Ledger, lines: &[Receiver<LineStatus>]) -> Result<(), Failure> {
        let rows: Vec<Vec<Cell>> = stage
            .casts
            .iter()
            .zip(lines)
            .enumerate()
            .map(|(index, (cast, line))| {
                let status = line.borrow();
                let (calls, ended) = ledger.progress(index);
                vec![
                    Cell::plain(cast.name),
                    Cell::plain(cast.release),
                    Cell::styled(&status.state, style_of(&status.state)),
                    Cell::plain(status.generation),
                    Cell::plain(ended),
                    Cell::plain(calls - ended),
                ]
            })
            .collect();
        let headings = ["GATEWAY", "RELEASE", "LINE", "CONNECTIONS", "CALLS ENDED", "UNDER WAY"];
        let mut shown = columns(&headings, &rows, self.output.drawn_width());
        let live = &mut *self.live.borrow_mut();
        shown.push(format!("{DIM}{}{DIM:#}", self.seconds()));
        shown.extend(live.news.iter().cloned());
        Ok(live.redraw.draw(self.output, &shown)?)
    }

    /// The table at the end, with its explanation.
    pub(crate) fn conclude(&self, stage: &DemoSetup, tallies: &[GatewayTally]) -> Result<(), Failure> {
        if self.output.json() {
            return self.conclude_json(stage, tallies);
        }
        let headings = [
            "GATEWAY",
            "RELEASE",
            "CALLS",
            "ANSWERED",
            "REJECTED",
            "NOT SENT",
            "UNKNOWN",
            "RE-SENT",
            "LOST",
            "DUPLICATED",
        ];
        let rows: Vec<_> = stage
            .casts
            .iter()
            .zip(tallies)
            .map(|(cast, tally)| row(cast.name, cast.release, tally))
            .collect();
        self.output.line(&format!(
            "\n{}",
            columns(&headings, &rows, self.output.width()).join("\n")
        ))?;
        let sum = |count: fn(&GatewayTally) -> usize| tallies.iter().map(count).sum::<usize>();
        let (unknown, done) = (sum(|tally| tally.unknown), sum(|tally| tally.unknown_done));
        self.output
            .line("\nCounted from the gateways' journals, against what each caller was told.")?;
        if unknown > 0 {
            self.output.line(&format!(
                "Unknown: {unknown} callers were told that the outcome can't be known, because a repeat could have done it \
                 twice. {done} of those calls had been carried out.",
            ))?;
        }
        let resumed = sum(|tally| tally.resumed);
        if resumed > 0 {
            self.output.line(&format!(
                "Resumed: the gateways took {resumed} interrupted turns up again by themselves."
            ))?;
        }
        let misreported = sum(|tally| tally.misreported);
        if misreported > 0 {
            self.output.line(&format!(
                "{BAD}Misreported: {misreported} calls were called rejected or not sent, and had been carried out.{BAD:#}"
            ))?;
        }
        let (lost, twice) = (sum(|tally| tally.lost), sum(|tally| tally.duplicated));
        let style = if tallies.iter().all(GatewayTally::is_clean) {
            GOOD
        } else {
            BAD
        };
        Ok(self
            .output
            .line(&format!("{style}lost {lost}, duplicated {twice}{style:#}"))?)
    }

    fn conclude_json(&self, stage: &DemoSetup, tallies: &[GatewayTally]) -> Result<(), Failure> {
        let rows: Vec<_> = stage
            .casts
            .iter()
            .zip(tallies)
            .map(|(cast, tally)| {
                json!({
                    "gateway": cast.name,
                    "release": cast.release,
                    "calls": tally.calls,
                    "answered": tally.answered,
                    "rejected": tally.rejected,
                    "notSent": tally.not_sent,
                    "unknown": tally.unknown,
                    "unknownDone": tally.unknown_done,
                    "resent": tally.resent,
                    "lost": tally.lost,
                    "duplicated": tally.duplicated,
                    "misreported": tally.misreported,
                    "resumedByGateway": tally.resumed,
                })
            })
            .collect();
        let at = elapsed(self.clock, self.begun);
        let clean = tallies.iter().all(GatewayTally::is_clean);
        Ok(self
            .output
            .value(&json!({"type": "result", "atMs": at, "clean": clean, "gateways": rows}))?)
    }
}

fn row(name: &str, release: &str, tally: &GatewayTally) -> Vec<Cell> {
    let verdict = |count: usize| Cell::styled(count, if count == 0 { GOOD } else { BAD });
    let unknown = if tally.unknown == 0 {
        Cell::plain(0)
    } else {
        Cell::styled(tally.unknown, WARN)
    };
    vec![
        Cell::plain(name),
        Cell::plain(release),
        Cell::plain(tally.calls),
        Cell::plain(tally.answered),
        Cell::plain(tally.rejected),
        Cell::plain(tally.not_sent),
        unknown,
        Cell::plain(tally.resent),
        verdict(tally.lost),
        verdict(tally.duplicated),
    ]
}
