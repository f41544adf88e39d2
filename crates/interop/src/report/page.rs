//! The table of scenarios and releases as a Markdown page.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::sheet::{Cell, Sheet, Verdict};
use crate::scenarios::by_name;

const HEAD: &str = "\
# Compatibility with real OpenClaw releases

`windlass-interop run --table` writes this page from runs of the real releases of npm. The data of each cell is in a file beside this page.
`yes`: the row is true for the release. `no`: it is not true. `-`: the release cannot do it. `?`: not tried.

Known limits of releases:

- 2026.2.12 cannot run sessions of any agent except the first. Each run of the other agents ends with
  `Session file path must be within sessions directory`. Windlass reports this error in the end of the message and on the record of the
  agent. Use 2026.2.26 or later.
- 2026.9.6 does not run the heartbeat of an agent with the target `last` until a message has reached the agent over a channel
  (`heartbeat skipped: no-route`). Such an agent shows no sign of life. Give it the target `none`, or a channel.

";

/// The page: a row for each scenario, a column for each release. Below are the notes of the cells (equal notes once), and at the end
/// the cells of each run.
pub fn page(sheet: &Sheet) -> String {
    let mut page = String::from(HEAD);
    let releases = distinct(sheet.cells().iter().map(|cell| &*cell.release));
    let scenarios = distinct(sheet.cells().iter().map(|cell| &*cell.scenario));
    let rule = "|---".repeat(releases.len() + 2);
    // Writing to a string cannot fail.
    let _ = write!(page, "| | | {} |\n{rule}|\n", releases.join(" | "));
    let mut notes = Notes::default();
    for name in scenarios {
        let what = by_name(name).map_or("", |scenario| scenario.what);
        let _ = write!(page, "| {name} | {} |", escape(what));
        for release in &releases {
            let mut cells = sheet.cells().iter();
            let found = cells.find(|cell| cell.scenario == name && cell.release == *release);
            let _ = write!(page, " {} |", notes.cell(found));
        }
        page.push('\n');
    }
    page.push_str(&notes.list());
    page.push_str(&runs(sheet, releases.len()));
    page
}

/// Numbered notes below a table.
#[derive(Debug, Default)]
struct Notes {
    numbers: BTreeMap<String, usize>,
}

impl Notes {
    fn cell(&mut self, cell: Option<&Cell>) -> String {
        let Some(cell) = cell else {
            return "?".to_owned();
        };
        let word = match cell.verdict {
            Verdict::Holds => "yes",
            Verdict::Fails => "**no**",
            Verdict::NotPossible => "-",
            Verdict::NotTried => "?",
        };
        if cell.note.is_empty() {
            return word.to_owned();
        }
        let next = self.numbers.len() + 1;
        let number = *self.numbers.entry(cell.note.clone()).or_insert(next);
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

/// The cells of each run. If one run tried a scenario on all releases, the list has only the name of the scenario.
fn runs(sheet: &Sheet, columns: usize) -> String {
    let mut list = String::from("\n## Which run\n");
    let runs: BTreeSet<_> = sheet.cells().iter().map(|cell| &*cell.run).collect();
    for run in runs {
        let of_run = || sheet.cells().iter().filter(|cell| cell.run == run);
        let rows = distinct(of_run().map(|cell| &*cell.scenario));
        let rows = rows.into_iter().map(|name| {
            let cells = of_run().filter(|cell| cell.scenario == name);
            let releases: Vec<_> = cells.map(|cell| &*cell.release).collect();
            if releases.len() == columns {
                name.to_owned()
            } else {
                format!("{name} ({})", releases.join(", "))
            }
        });
        let rows: Vec<_> = rows.collect();
        let _ = write!(list, "\n{run}: {}\n", rows.join("; "));
    }
    list
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

    fn cell(scenario: &str, release: &str, verdict: Verdict, note: &str, run: &str) -> Cell {
        Cell {
            scenario: scenario.to_owned(),
            release: release.to_owned(),
            verdict,
            note: note.to_owned(),
            run: run.to_owned(),
        }
    }

    #[test]
    fn the_page_has_a_row_for_each_scenario_a_column_for_each_release_and_names_the_runs() {
        let mut sheet = Sheet::default();
        for cell in [
            cell("health", "2026.1.30", Verdict::Holds, "slowly", "2026-11-23"),
            cell(
                "health",
                "2026.2.26",
                Verdict::NotTried,
                "npm is not installed",
                "2026-11-23",
            ),
            cell("health", "2026.9.6", Verdict::Holds, "slowly", "2026-11-23"),
            cell("echo", "2026.2.26", Verdict::NotPossible, "no agents", "2026-11-23"),
            cell("echo", "2026.9.6", Verdict::Fails, "got 1|2", "2026-11-25"),
        ] {
            sheet.put(cell);
        }
        let page = page(&sheet);
        let (_, table) = page.split_once("\n\n").expect("a heading");
        let (_, table) = table.split_once("\n\n|").expect("a legend");
        let table = format!("|{table}");
        let expected = "\
            | | | 2026.1.30 | 2026.2.26 | 2026.9.6 |\n\
            |---|---|---|---|---|\n\
            | health | A gateway starts and answers `health` | yes [1] | ? [2] | yes [1] |\n\
            | echo | A chat message reaches the model and its answer comes back | ? | - [3] | **no** [4] |\n\
            \n[1] slowly\n\n[2] npm is not installed\n\n[3] no agents\n\n[4] got 1\\|2\n\
            \n## Which run\n\
            \n2026-11-23: health; echo (2026.2.26)\n\
            \n2026-11-25: echo (2026.9.6)\n";
        assert_eq!(table, expected);
    }
}
