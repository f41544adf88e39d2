//! Results as lines, as JSON and as a table.

mod page;
mod sheet;

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

pub use self::{
    page::page,
    sheet::{Cell, Sheet, SheetError, Verdict, sheet_beside, write_whole},
};
use crate::{
    console::{Console, Paint},
    release::Release,
    scenario::{Outcome, Scenario},
};

/// One scenario on one release.
#[derive(Clone, Debug)]
pub struct Record {
    /// The release.
    pub release: Release,
    /// The scenario.
    pub scenario: Scenario,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

impl Record {
    /// One line for a person.
    pub fn line(&self, console: &Console) -> String {
        let paint = match self.outcome {
            Outcome::Passed { .. } => Paint::Good,
            Outcome::Failed { .. } => Paint::Bad,
            Outcome::NotPossible { .. } | Outcome::Skipped { .. } => Paint::Pale,
        };
        let word = console.paint(paint, self.outcome.word());
        let seconds = self.took.as_secs_f64();
        let mut line = format!("{} {} {word} ({seconds:.1} s)", self.release, self.scenario.name);
        let text = self.outcome.text();
        if !text.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(line, ": {text}");
        }
        line
    }

    /// One JSON object for a program.
    pub fn json(&self) -> Value {
        json!({
            "release": self.release.name(),
            "scenario": self.scenario.name,
            "outcome": self.outcome.word(),
            "text": self.outcome.text(),
            "tookMs": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// How many ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Held.
    pub passed: usize,
    /// Did not hold.
    pub failed: usize,
    /// Cannot be done on that release.
    pub not_possible: usize,
    /// Were not tried.
    pub skipped: usize,
}

impl Summary {
    /// Counts `records`.
    pub fn of(records: &[Record]) -> Self {
        let mut summary = Self::default();
        for record in records {
            *match record.outcome {
                Outcome::Passed { .. } => &mut summary.passed,
                Outcome::Failed { .. } => &mut summary.failed,
                Outcome::NotPossible { .. } => &mut summary.not_possible,
                Outcome::Skipped { .. } => &mut summary.skipped,
            } += 1;
        }
        summary
    }

    /// The last line of a run. It counts impossible cells only if there are any.
    pub fn line(&self) -> String {
        let Self {
            passed,
            failed,
            not_possible,
            skipped,
        } = self;
        let lack = match not_possible {
            0 => String::new(),
            count => format!(", {count} not possible"),
        };
        format!("{passed} passed, {failed} failed, {skipped} skipped{lack}")
    }

    /// The counts as a JSON object.
    pub fn json(&self) -> Value {
        json!({"summary": {
            "passed": self.passed, "failed": self.failed,
            "notPossible": self.not_possible, "skipped": self.skipped,
        }})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(release: &str, what: &'static str, outcome: Outcome) -> Record {
        Record {
            release: release.parse().expect("a release"),
            scenario: Scenario {
                name: "x",
                what,
                deadline: Duration::ZERO,
                run: |_| Box::pin(async { Ok(Outcome::passed()) }),
            },
            outcome,
            took: Duration::from_millis(1500),
        }
    }

    fn records() -> Vec<Record> {
        let failed = Outcome::Failed {
            why: "got 1|2\nlog line".to_owned(),
        };
        let skipped = Outcome::Skipped {
            reason: "npm is not installed".to_owned(),
        };
        vec![
            record("1.30", "It starts", Outcome::passed_with("slowly")),
            record("9.6", "It starts", Outcome::passed_with("slowly")),
            record("9.6", "It echoes", failed),
            record("2.26", "It echoes", Outcome::not_possible("no agents")),
            record("2.26", "It starts", skipped),
        ]
    }

    #[test]
    fn the_summary_counts_every_outcome_once() {
        let summary = Summary::of(&records());
        assert_eq!(summary.line(), "2 passed, 1 failed, 1 skipped, 1 not possible");
        assert_eq!(Summary::default().line(), "0 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn a_line_tells_what_happened_and_how_long_it_took() {
        let line = records()[0].line(&Console::plain());
        assert_eq!(line, "2026.1.30 x passed (1.5 s): slowly");
        assert_eq!(records()[0].json()["tookMs"], 1500);
    }
}
