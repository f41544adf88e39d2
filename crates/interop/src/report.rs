//! Results as lines, as JSON and as a table.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use serde_json::{Value, json};

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

    /// The last line of a run. What is not possible is named only where it occurs.
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

/// The table of scenarios and releases as a Markdown page.
///
/// Rows are scenarios in the order of their first record, columns are releases in the same way;
/// what outcomes say stands below the table as numbered notes, equal ones once.
pub fn table(records: &[Record]) -> String {
    let mut page = String::from(
        "# Compatibility with real OpenClaw releases\n\n\
         Written by `windlass-interop run --table`, from runs of the real releases of npm.\n\
         `yes`: holds. `no`: does not hold. `-`: the release cannot do it. `?`: not tried.\n\n",
    );
    let releases = distinct(records.iter().map(|record| record.release.name()));
    let scenarios = distinct(records.iter().map(|record| record.scenario.what));
    let rule = "|---".repeat(releases.len() + 1);
    let _ = write!(page, "| | {} |\n{rule}|\n", releases.join(" | "));
    let mut notes = Notes::default();
    for what in scenarios {
        let _ = write!(page, "| {} |", escape(what));
        for &release in &releases {
            let found = records
                .iter()
                .find(|record| record.release.name() == release && record.scenario.what == what);
            let _ = write!(page, " {} |", notes.cell(found));
        }
        page.push('\n');
    }
    page.push_str(&notes.list());
    page
}

/// Numbered notes below a table.
#[derive(Debug, Default)]
struct Notes {
    numbers: BTreeMap<String, usize>,
}

impl Notes {
    fn cell(&mut self, record: Option<&Record>) -> String {
        let Some(record) = record else {
            return "?".to_owned();
        };
        let word = match record.outcome {
            Outcome::Passed { .. } => "yes",
            Outcome::Failed { .. } => "**no**",
            Outcome::NotPossible { .. } => "-",
            Outcome::Skipped { .. } => "?",
        };
        // A failure's log belongs on the console, not into a page.
        let text = record.outcome.text();
        let text = text.lines().next().unwrap_or_default().trim();
        if text.is_empty() {
            return word.to_owned();
        }
        let next = self.numbers.len() + 1;
        let number = *self.numbers.entry(text.to_owned()).or_insert(next);
        format!("{word} [{number}]")
    }

    fn list(&self) -> String {
        let mut notes: Vec<_> = self.numbers.iter().collect();
        notes.sort_by_key(|(_, number)| **number);
        let mut list = String::new();
        for (text, number) in notes {
            let _ = write!(list, "\n[{number}] {}\n", escape(text));
        }
        list
    }
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|")
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
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
    fn the_table_has_a_row_for_each_scenario_and_a_column_for_each_release() {
        let page = table(&records());
        let (_, table) = page.split_once("\n\n").expect("a heading");
        let (_, table) = table.split_once("\n\n").expect("a legend");
        let expected = "\
            | | 2026.1.30 | 2026.9.6 | 2026.2.26 |\n\
            |---|---|---|---|\n\
            | It starts | yes [1] | yes [1] | ? [2] |\n\
            | It echoes | ? | **no** [3] | - [4] |\n\
            \n[1] slowly\n\n[2] npm is not installed\n\n[3] got 1\\|2\n\n[4] no agents\n";
        assert_eq!(table, expected);
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
