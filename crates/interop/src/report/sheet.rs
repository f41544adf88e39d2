//! What is known of scenarios on releases, kept from one run to the next.
//!
//! A run over all nine releases takes an hour, so a row that was mended is run by itself and put into what is there. The
//! sheet is a file of JSON lines, one for each cell, and each cell says which run it is from.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use windlass_testkit::RELEASES;

use super::Record;
use crate::{scenario::Outcome, scenarios};

/// How a scenario ended on a release, as the table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not hold.
    Fails,
    /// The release cannot do it.
    NotPossible,
    /// It was not tried.
    NotTried,
}

/// One scenario on one release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// The scenario's name.
    pub scenario: String,
    /// The release.
    pub release: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What a reader should know besides; one line, possibly empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Which run it is from: the day on which that began.
    pub run: String,
}

impl Cell {
    /// The cell of a result of the run of this name.
    pub fn of(record: &Record, run: &str) -> Self {
        let verdict = match record.outcome {
            Outcome::Passed { .. } => Verdict::Holds,
            Outcome::Failed { .. } => Verdict::Fails,
            Outcome::NotPossible { .. } => Verdict::NotPossible,
            Outcome::Skipped { .. } => Verdict::NotTried,
        };
        // A failure's log belongs on the console, not into a page.
        let text = record.outcome.text();
        Self {
            scenario: record.scenario.name.to_owned(),
            release: record.release.name().to_owned(),
            verdict,
            note: text.lines().next().unwrap_or_default().trim().to_owned(),
            run: run.to_owned(),
        }
    }

    fn is_for(&self, other: &Self) -> bool {
        (&self.scenario, &self.release) == (&other.scenario, &other.release)
    }
}

/// Why a sheet is not to be had.
#[derive(Debug, Error)]
pub enum SheetError {
    /// The file can't be read or written.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A line of the file is no cell.
    #[error("line {line} of {} is no cell of a table", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// The cells of a table, in the order of its rows and columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    cells: Vec<Cell>,
}

/// Where the cells of the page at `page` are kept: beside it.
pub fn sheet_beside(page: &Path) -> PathBuf {
    page.with_extension("jsonl")
}

impl Sheet {
    /// Reads the cells in a file. One that is not there has none.
    ///
    /// # Errors
    /// When the file can't be read, or is not of this form.
    pub fn read(path: &Path) -> Result<Self, SheetError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => {
                let path = path.to_owned();
                return Err(SheetError::Io {
                    what: "read",
                    path,
                    source,
                });
            }
        };
        let mut sheet = Self::default();
        for (at, line) in text.lines().enumerate() {
            let cell = serde_json::from_str(line).map_err(|source| SheetError::Line {
                path: path.to_owned(),
                line: at + 1,
                source,
            })?;
            sheet.put(cell);
        }
        Ok(sheet)
    }

    /// Writes the cells into a file, in one piece: whoever is interrupted leaves the old file or the new one.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn write(&self, path: &Path) -> Result<(), SheetError> {
        let lines: Vec<_> = self.cells.iter().map(|cell| line(cell) + "\n").collect();
        write_whole(path, &lines.concat())
    }

    /// Puts a cell in, in the place of an older one. What was not tried replaces nothing.
    pub fn put(&mut self, cell: Cell) {
        match self.cells.iter_mut().find(|known| known.is_for(&cell)) {
            Some(_) if cell.verdict == Verdict::NotTried => {}
            Some(known) => *known = cell,
            None => self.cells.push(cell),
        }
        self.cells.sort_by_key(|cell| (row(cell), column(cell)));
    }

    /// The cells.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }
}

/// Writes a file by way of another one beside it.
///
/// # Errors
/// When that is not possible.
pub fn write_whole(path: &Path, text: &str) -> Result<(), SheetError> {
    let fresh = path.with_extension("new");
    let written = fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, path));
    written.map_err(|source| SheetError::Io {
        what: "write",
        path: path.to_owned(),
        source,
    })
}

fn line(cell: &Cell) -> String {
    // A struct of texts always is JSON.
    serde_json::to_string(cell).unwrap_or_default()
}

/// As the scenarios are listed, and those that are gone at the end.
fn row(cell: &Cell) -> (usize, String) {
    let known = scenarios::ALL
        .iter()
        .position(|scenario| scenario.name == cell.scenario);
    (known.unwrap_or(usize::MAX), cell.scenario.clone())
}

/// Oldest first, and others than the nine at the end.
fn column(cell: &Cell) -> (usize, String) {
    let known = RELEASES.iter().position(|name| *name == cell.release);
    (known.unwrap_or(usize::MAX), cell.release.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(scenario: &str, release: &str, verdict: Verdict) -> Cell {
        Cell {
            scenario: scenario.to_owned(),
            release: release.to_owned(),
            verdict,
            note: String::new(),
            run: "2026-11-25".to_owned(),
        }
    }

    #[test]
    fn a_sheet_comes_back_from_its_file_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = sheet_beside(&folder.path().join("table.md"));
        let mut sheet = Sheet::read(&path).expect("none is an empty one");
        sheet.put(cell("echo", "2026.9.6", Verdict::Holds));
        sheet.put(cell("health", "2026.9.6", Verdict::NotPossible));
        sheet.put(cell("health", "2026.1.30", Verdict::Fails));
        sheet.write(&path).expect("written");
        assert_eq!(Sheet::read(&path).expect("read"), sheet);
        let order: Vec<_> = sheet
            .cells()
            .iter()
            .map(|cell| (&*cell.scenario, &*cell.release))
            .collect();
        assert_eq!(
            order,
            [("health", "2026.1.30"), ("health", "2026.9.6"), ("echo", "2026.9.6")]
        );
    }

    #[test]
    fn a_newer_cell_takes_the_older_ones_place_unless_it_was_not_tried() {
        let mut sheet = Sheet::default();
        sheet.put(cell("health", "2026.9.6", Verdict::Holds));
        sheet.put(cell("health", "2026.9.6", Verdict::NotTried));
        assert_eq!(sheet.cells()[0].verdict, Verdict::Holds);
        sheet.put(cell("health", "2026.9.6", Verdict::Fails));
        assert_eq!((sheet.cells().len(), sheet.cells()[0].verdict), (1, Verdict::Fails));
    }

    #[test]
    fn a_line_that_is_no_cell_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("table.jsonl");
        let good = line(&cell("health", "2026.9.6", Verdict::Holds));
        fs::write(&path, format!("{good}\n{{}}\n")).expect("written");
        let error = Sheet::read(&path).expect_err("not a sheet").to_string();
        assert!(
            error.starts_with("line 2 of ") && error.ends_with("table.jsonl is no cell of a table"),
            "{error}"
        );
    }
}
