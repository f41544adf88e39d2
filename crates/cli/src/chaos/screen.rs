//! The live table, or lines, or JSON.

use std::time::Duration;

use serde_json::{Value, json};
use windlass::LineStatus;
use windlass_testkit::chaos::{LogEntry, LogEvent, LogPage};

use crate::chaos::probe::{Counts, Probe};
use crate::chaos::tally::Tally;
use crate::columns::{Cell, columns};
use crate::exit::Failure;
use crate::output::{BAD, DIM, GOOD, HEAD, Output, Redraw, WARN};
use crate::status::table::{change, style_of};
use crate::text::counted;

/// Latest entries below the table.
const NEWS: usize = 8;

pub(crate) struct Screen<'a> {
    output: &'a Output,
    redraw: Redraw,
    tally: Tally,
    news: Vec<String>,
}

impl<'a> Screen<'a> {
    pub(crate) fn new(output: &'a Output) -> Self {
        Self {
            output,
            redraw: Redraw::default(),
            tally: Tally::default(),
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

    /// Takes what was logged.
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
