//! Faults and results of `windlass chaos` on the screen, and their counts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use windlass::LineStatus;
use windlass_testkit::chaos::{Fault, LogEntry, LogEvent, LogPage};

use crate::chaos::probe::{Counts, Probe};
use crate::columns::{Cell, columns};
use crate::exit::Failure;
use crate::output::{BAD, DIM, GOOD, HEAD, Output, Redraw, WARN};
use crate::status::{change, style_of};
use crate::text::counted;

/// Latest entries below the table.
const NEWS: usize = 8;

pub(crate) struct ChaosScreen<'a> {
    output: &'a Output,
    redraw: Redraw,
    tally: FaultTally,
    news: Vec<String>,
}

impl<'a> ChaosScreen<'a> {
    pub(crate) fn new(output: &'a Output) -> Self {
        Self {
            output,
            redraw: Redraw::default(),
            tally: FaultTally::default(),
            news: Vec::new(),
        }
    }

    pub(crate) fn introduce(&self, url: &str, upstream: &str, seed: u64) -> Result<(), Failure> {
        if self.output.json() {
            let value = json!({"type": "listening", "url": url, "upstream": upstream, "seed": seed});
            return Ok(self.output.value(&value)?);
        }
        Ok(self.output.line(&format!(
            "{HEAD}{url}{HEAD:#} leads to {upstream}, with faults (seed {seed}). Ctrl-C ends it."
        ))?)
    }

    /// Takes the entries of the proxy's log.
    pub(crate) fn tell(&mut self, page: &LogPage) -> Result<(), Failure> {
        if page.missed > 0 {
            self.tally.skip();
            self.tell_missed(page.missed)?;
        }
        for entry in &page.entries {
            self.tally.take(entry);
            if self.output.json() {
                self.output.value(&as_json(entry))?;
                continue;
            }
            let style = match entry.what {
                LogEvent::Applied { .. } | LogEvent::Tampered { .. } | LogEvent::Skewed { .. } => WARN,
                LogEvent::LetIn { .. } => GOOD,
                _ => DIM,
            };
            let at = entry.at.as_secs_f64();
            self.log(format!("{DIM}{at:8.2} s{DIM:#}  {style}{}{style:#}", entry.what))?;
        }
        Ok(())
    }

    /// More happened than could be shown in time: neither the table nor the lines have it.
    fn tell_missed(&mut self, entries: u64) -> Result<(), Failure> {
        if self.output.json() {
            return Ok(self.output.value(&json!({"type": "missed", "entries": entries}))?);
        }
        self.log(format!(
            "{WARN}{} came too fast to be counted{WARN:#}",
            counted(entries, "entry")
        ))
    }

    /// Takes a change of the probe's line.
    pub(crate) fn tell_line(&mut self, at: Duration, status: &LineStatus) -> Result<(), Failure> {
        if self.output.json() {
            let value = json!({
                "type": "line",
                "atMs": millis(at),
                "state": status.state.name(),
                "generation": status.generation,
            });
            return Ok(self.output.value(&value)?);
        }
        self.log(format!("{DIM}{:8.2} s{DIM:#}  {}", at.as_secs_f64(), change(status)))
    }

    fn log(&mut self, line: String) -> Result<(), Failure> {
        if !self.output.redraws() {
            return Ok(self.output.line(&line)?);
        }
        self.news.push(line);
        let old = self.news.len().saturating_sub(NEWS);
        self.news.drain(..old);
        Ok(())
    }

    pub(crate) const fn redraws(&self) -> bool {
        self.output.redraws()
    }

    pub(crate) fn draw(&mut self, at: Duration, probe: Option<&Probe>) -> Result<(), Failure> {
        let mut shown = self.table();
        let (word, style) = if self.tally.is_through() {
            ("a client is through", GOOD)
        } else {
            ("no client is through", WARN)
        };
        shown.push(format!(
            "{DIM}{:6.1} s{DIM:#}  {style}{word}{style:#}",
            at.as_secs_f64()
        ));
        if let Some(probe) = probe {
            let (status, counts) = (probe.status(), probe.counts());
            let style = style_of(&status.state);
            shown.push(format!(
                "line {style}{}{style:#}, connection {}; {}",
                status.state,
                status.generation,
                sentence(&counts)
            ));
        }
        shown.extend(self.news.iter().cloned());
        Ok(self.redraw.draw(self.output, &shown)?)
    }

    fn table(&self) -> Vec<String> {
        let headings = ["FAULT", "TIMES", "FRAMES HIT", "BROKE", "BACK AFTER", "LONGEST"];
        let span =
            |span: Option<Duration>| span.map_or_else(|| "-".to_owned(), |span| format!("{} ms", span.as_millis()));
        let rows: Vec<_> = self
            .tally
            .kinds
            .iter()
            .map(|(name, kind)| {
                vec![
                    Cell::plain(name),
                    Cell::plain(kind.times),
                    Cell::plain(kind.frames),
                    Cell::plain(kind.broke),
                    Cell::plain(span(kind.mean())),
                    Cell::plain(span((kind.back > 0).then_some(kind.longest))),
                ]
            })
            .collect();
        columns(&headings, &rows, self.output.drawn_width())
    }

    /// The table at the end, and the verdict.
    pub(crate) fn conclude(&mut self, at: Duration, counts: Option<&Counts>) -> Result<(), Failure> {
        if self.output.json() {
            return Ok(self.output.value(&self.result(at, counts))?);
        }
        let table = self.table().join("\n");
        self.output.line(&format!("\n{table}"))?;
        let seconds = at.as_secs_f64();
        self.output
            .line(&format!("\n{} faults in {seconds:.1} s.", self.tally.faults()))?;
        let Some(counts) = counts else { return Ok(()) };
        self.output.line(&sentence(counts))?;
        for what in &counts.told {
            self.output.line(&format!("{BAD}broken:{BAD:#} {what}"))?;
        }
        let style = if counts.broken == 0 { GOOD } else { BAD };
        Ok(self
            .output
            .line(&format!("{style}{} broken promises{style:#}", counts.broken))?)
    }

    fn result(&self, at: Duration, counts: Option<&Counts>) -> Value {
        let kinds: serde_json::Map<String, Value> = self
            .tally
            .kinds
            .iter()
            .map(|(name, kind)| {
                let value = json!({
                    "times": kind.times,
                    "framesHit": kind.frames,
                    "broke": kind.broke,
                    "back": kind.back,
                    "meanDownMs": kind.mean().map(millis),
                    "longestDownMs": millis(kind.longest),
                });
                ((*name).to_owned(), value)
            })
            .collect();
        let probe = counts.map(|counts| {
            json!({
                "ok": counts.ok,
                "rejected": counts.rejected,
                "notSent": counts.not_sent,
                "unknown": counts.unknown,
                "timedOut": counts.timed_out,
                "events": counts.events,
                "markers": counts.markers,
                "messages": counts.messages,
                "answered": counts.answered,
                "broken": counts.broken,
                "told": counts.told,
            })
        });
        json!({"type": "result", "atMs": millis(at), "faults": self.tally.faults(), "kinds": kinds, "probe": probe})
    }
}

fn sentence(counts: &Counts) -> String {
    let mut text = format!(
        "calls: {} ok, {} rejected, {} not sent, {} timed out, {} under way; {}, {}",
        counts.ok,
        counts.rejected,
        counts.not_sent,
        counts.timed_out,
        counts.under_way,
        counted(counts.events, "event"),
        counted(counts.markers, "marker")
    );
    if counts.messages > 0 {
        text = format!(
            "{text}; {} of {} answered",
            counts.answered,
            counted(counts.messages, "message")
        );
    }
    text
}

fn as_json(entry: &LogEntry) -> Value {
    let at = millis(entry.at);
    match &entry.what {
        LogEvent::Applied { fault, connections } => json!({
            "type": "fault", "atMs": at, "fault": fault.name(), "text": fault.to_string(), "connections": connections,
        }),
        LogEvent::Tampered {
            conn,
            direction,
            frame,
            fault,
        } => json!({
            "type": "frame", "atMs": at, "conn": conn, "fault": fault.name(), "frame": frame, "text": direction.to_string(),
        }),
        LogEvent::Opened { conn } => json!({"type": "opened", "atMs": at, "conn": conn}),
        LogEvent::TurnedAway { conn } => json!({"type": "turnedAway", "atMs": at, "conn": conn}),
        LogEvent::LetIn { conn } => json!({"type": "letIn", "atMs": at, "conn": conn}),
        LogEvent::Closed { conn } => json!({"type": "closed", "atMs": at, "conn": conn}),
        other => json!({"type": "other", "atMs": at, "text": other.to_string()}),
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// One kind of fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FaultStats {
    /// How often it was applied.
    pub(crate) times: u64,
    /// Frames that were changed.
    pub(crate) frames: u64,
    /// Connections that a gateway had let in and that ended after it, with no other fault in between.
    pub(crate) broke: u64,
    /// Of them, those after which a client was let in again, and how long that took in all and at most.
    pub(crate) back: u32,
    pub(crate) down: Duration,
    pub(crate) longest: Duration,
}

impl FaultStats {
    /// How long clients were away on average.
    pub(crate) fn mean(&self) -> Option<Duration> {
        self.down.checked_div(self.back)
    }
}

/// Counts of faults by name, and of the reactions of the line.
#[derive(Debug, Default)]
pub(crate) struct FaultTally {
    pub(crate) kinds: BTreeMap<&'static str, FaultStats>,
    /// Connections that the gateway has let in.
    let_in: BTreeSet<u64>,
    /// The fault that came last.
    blamed: Option<&'static str>,
    /// The time since which no client can connect, and the fault that causes it.
    away: Option<(Duration, Option<&'static str>)>,
}

impl FaultTally {
    /// Log entries were missed: the state of the connections has to be learnt anew.
    pub(crate) fn skip(&mut self) {
        self.let_in.clear();
        self.blamed = None;
        self.away = None;
    }

    pub(crate) fn take(&mut self, entry: &LogEntry) {
        match &entry.what {
            LogEvent::Applied { fault, .. } if !ends_something(fault) => {
                self.kind(fault.name()).times += 1;
                // A rule that waits for its frame has done nothing yet.
                if !matches!(fault, Fault::Arm(_)) {
                    self.blamed = Some(fault.name());
                }
            }
            LogEvent::Tampered { fault, .. } => {
                self.kind(fault.name()).frames += 1;
                self.blamed = Some(fault.name());
            }
            LogEvent::LetIn { conn } => {
                self.let_in.insert(*conn);
                if let Some((since, Some(blamed))) = self.away.take() {
                    let down = entry.at.saturating_sub(since);
                    let kind = self.kind(blamed);
                    kind.back += 1;
                    kind.down += down;
                    kind.longest = kind.longest.max(down);
                }
            }
            LogEvent::Closed { conn } => self.closed(*conn, entry.at),
            _ => {}
        }
    }

    fn closed(&mut self, conn: u64, at: Duration) {
        if !self.let_in.remove(&conn) {
            return;
        }
        if let Some(blamed) = self.blamed {
            self.kind(blamed).broke += 1;
        }
        if self.let_in.is_empty() {
            self.away = Some((at, self.blamed));
        }
    }

    /// Faults so far.
    pub(crate) fn faults(&self) -> u64 {
        self.kinds.values().map(|kind| kind.times).sum()
    }

    /// Whether a client is through to the gateway.
    pub(crate) fn is_through(&self) -> bool {
        !self.let_in.is_empty()
    }

    fn kind(&mut self, name: &'static str) -> &mut FaultStats {
        self.kinds.entry(name).or_default()
    }
}

/// Whether it takes back another fault.
fn ends_something(fault: &Fault) -> bool {
    matches!(fault, Fault::Resume(_) | Fault::Calm) || fault.undo().as_ref() == Some(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(ms: u64, what: LogEvent) -> LogEntry {
        LogEntry {
            at: Duration::from_millis(ms),
            what,
        }
    }

    fn applied(fault: Fault) -> LogEvent {
        LogEvent::Applied { fault, connections: 1 }
    }

    #[test]
    fn the_fault_before_an_end_is_blamed_and_the_time_until_somebody_is_let_in_counts() {
        let mut tally = FaultTally::default();
        for entry in [
            entry(0, LogEvent::LetIn { conn: 1 }),
            entry(10, applied(Fault::Slice(std::num::NonZeroUsize::new(1)))),
            entry(20, applied(Fault::Slice(None))),
            entry(100, applied(Fault::Cut)),
            entry(100, LogEvent::Closed { conn: 1 }),
            entry(150, LogEvent::Closed { conn: 2 }),
            entry(400, LogEvent::LetIn { conn: 3 }),
        ] {
            tally.take(&entry);
        }
        let cut = tally.kinds["cut"];
        assert_eq!((cut.times, cut.broke, cut.back), (1, 1, 1));
        assert_eq!(
            (cut.mean(), cut.longest),
            (Some(Duration::from_millis(300)), Duration::from_millis(300))
        );
        assert_eq!((tally.kinds["slice"].times, tally.kinds["slice"].broke), (1, 0));
        assert_eq!(tally.faults(), 2);
        assert!(tally.is_through());
    }

    #[test]
    fn who_was_let_in_before_entries_were_missed_is_not_thought_to_be_through() {
        let mut tally = FaultTally::default();
        tally.take(&entry(0, LogEvent::LetIn { conn: 1 }));
        tally.take(&entry(10, applied(Fault::Cut)));
        tally.skip();
        assert!(!tally.is_through());
        tally.take(&entry(20, LogEvent::LetIn { conn: 7 }));
        assert!(tally.is_through());
        assert_eq!((tally.kinds["cut"].times, tally.kinds["cut"].back), (1, 0));
    }
}
