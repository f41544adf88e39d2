//! Tables: columns as wide as their widest cell.

use std::fmt::{Display, Write as _};

use anstyle::Style;

use crate::output::HEAD;

/// Space between two columns.
const GAP: usize = 2;

/// A cell: its text, and the style that it is shown in.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn plain(text: impl Display) -> Self {
        Self::styled(text, Style::new())
    }

    pub(crate) fn styled(text: impl Display, style: Style) -> Self {
        Self {
            text: text.to_string(),
            style,
        }
    }
}

/// Headings, rows, and lines that stand below a row.
pub(crate) struct TextTable<'a> {
    headings: &'a [&'a str],
    rows: &'a [Vec<Cell>],
    /// Headings of columns that go first where the table is too wide, in this order.
    spare: &'a [&'a str],
}

impl<'a> TextTable<'a> {
    pub(crate) const fn new(headings: &'a [&'a str], rows: &'a [Vec<Cell>]) -> Self {
        Self {
            headings,
            rows,
            spare: &[],
        }
    }

    /// Says which columns are missed the least; after them the others go, from the right to the left.
    pub(crate) const fn spare(mut self, headings: &'a [&'a str]) -> Self {
        self.spare = headings;
        self
    }

    /// The headings and one line per row, in at most `width` characters where whole columns can be left out for that: half of a
    /// name or an id would be of no use. The first column always stays.
    pub(crate) fn lines(&self, width: usize) -> Vec<String> {
        let widths: Vec<usize> = (0..self.headings.len()).map(|column| self.width(column)).collect();
        let shown = self.fitting(&widths, width);
        let pick = |row: &[Cell]| -> Vec<(Cell, usize)> {
            let picked = shown
                .iter()
                .filter_map(|column| Some((row.get(*column)?.clone(), widths[*column])));
            picked.collect()
        };
        let head: Vec<Cell> = self
            .headings
            .iter()
            .map(|heading| Cell::styled(heading, HEAD))
            .collect();
        std::iter::once(&head)
            .chain(self.rows)
            .map(|row| line(&pick(row)))
            .collect()
    }

    /// The same, with lines of its own below each row.
    pub(crate) fn lines_with(&self, width: usize, below: impl Fn(usize) -> Vec<String>) -> Vec<String> {
        let mut lines = self.lines(width).into_iter();
        let mut all: Vec<String> = lines.next().into_iter().collect();
        for (index, line) in lines.enumerate() {
            all.push(line);
            all.extend(below(index));
        }
        all
    }

    fn width(&self, column: usize) -> usize {
        let cells = self
            .rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cells_of(&cell.text));
        cells.chain([self.headings[column].len()]).max().unwrap_or(0)
    }

    /// The columns that are shown.
    fn fitting(&self, widths: &[usize], width: usize) -> Vec<usize> {
        let mut shown: Vec<usize> = (0..widths.len()).collect();
        let mut spare = self.spare.iter();
        let taken = |shown: &[usize]| shown.iter().map(|column| widths[*column] + GAP).sum::<usize>();
        while shown.len() > 1 && taken(&shown).saturating_sub(GAP) > width {
            match spare.next() {
                Some(heading) => shown.retain(|column| self.headings[*column] != *heading),
                None => {
                    shown.pop();
                }
            }
        }
        shown
    }
}

/// The headings and one line per row; see [`TextTable::lines`].
pub(crate) fn columns(headings: &[&str], rows: &[Vec<Cell>], width: usize) -> Vec<String> {
    TextTable::new(headings, rows).lines(width)
}

fn line(cells: &[(Cell, usize)]) -> String {
    let mut line = String::new();
    let mut padding = 0;
    for (Cell { text, style }, width) in cells {
        // The padding stands outside of the style, and none stands at the end.
        let _ = write!(line, "{:padding$}{style}{text}{style:#}", "");
        padding = width.saturating_sub(cells_of(text)) + GAP;
    }
    line
}

/// The cells of a terminal that a text takes.
pub(crate) fn cells_of(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(width: usize, spare: &[&str]) -> Vec<String> {
        let rows = [
            vec!["prod", "up", "2026.9.6", "0a1b2c3d"]
                .into_iter()
                .map(Cell::plain)
                .collect(),
            vec!["漢字", "waiting", "-", "4e5f6a7b"]
                .into_iter()
                .map(Cell::plain)
                .collect(),
        ];
        let headings = ["GATEWAY", "STATE", "RELEASE", "ID"];
        let lines = TextTable::new(&headings, &rows).spare(spare).lines(width);
        lines
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect()
    }

    #[test]
    fn a_narrow_table_has_fewer_columns_and_all_their_letters() {
        let wide = [
            "GATEWAY  STATE    RELEASE   ID",
            "prod     up       2026.9.6  0a1b2c3d",
            "漢字     waiting  -         4e5f6a7b",
        ];
        assert_eq!(shown(usize::MAX, &[]), wide);
        assert_eq!(shown(36, &["RELEASE"]), wide, "it just fits");
        assert_eq!(
            shown(35, &["RELEASE"]),
            [
                "GATEWAY  STATE    ID",
                "prod     up       0a1b2c3d",
                "漢字     waiting  4e5f6a7b"
            ]
        );
        assert_eq!(shown(35, &[])[0], "GATEWAY  STATE    RELEASE");
        assert_eq!(shown(3, &["STATE"]), ["GATEWAY", "prod", "漢字"]);
    }
}
