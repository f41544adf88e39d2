//! Tables: columns as wide as their widest cell.

use std::fmt::{Display, Write as _};

use anstyle::Style;

use super::output::HEAD;

/// Space between two columns.
const GAP: usize = 2;

/// A cell: its text, and the style that it is shown in.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(super) fn plain(text: impl Display) -> Self {
        Self::styled(text, Style::new())
    }

    pub(super) fn styled(text: impl Display, style: Style) -> Self {
        Self {
            text: text.to_string(),
            style,
        }
    }
}

/// The headings and one line per row.
pub(super) fn columns(headings: &[&str], rows: &[Vec<Cell>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.text.chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let head: Vec<Cell> = headings.iter().map(|heading| Cell::styled(heading, HEAD)).collect();
    std::iter::once(&head)
        .chain(rows)
        .map(|row| line(row, &widths))
        .collect()
}

fn line(cells: &[Cell], widths: &[usize]) -> String {
    let mut line = String::new();
    let mut padding = 0;
    for (Cell { text, style }, width) in cells.iter().zip(widths) {
        // The padding stands outside of the style, and none stands at the end.
        let _ = write!(line, "{:padding$}{style}{text}{style:#}", "");
        padding = width.saturating_sub(text.chars().count()) + GAP;
    }
    line
}
