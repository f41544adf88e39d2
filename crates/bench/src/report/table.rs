//! A comparison as a table for people: the Markdown of the documentation.

use std::fmt::Write as _;

use super::{Row, Table};

/// The table, and below it the clients that were left out.
pub fn text(table: &Table) -> String {
    let mut text = format!(
        "| client | depth | requests/s | of {} | by CPU | CPU µs | p50 µs | p99 µs | sends | receives | instructions | allocations |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        table.baseline
    );
    for row in &table.rows {
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {} | {} | {:.2} | {:.0} | {:.0} | {} | {} | {} | {} |",
            row.client,
            row.depth,
            row.per_second,
            known(row.ratio, 2),
            known(row.cpu_ratio, 2),
            row.cpu_us,
            row.p50_us,
            row.p99_us,
            known(row.sends, 4),
            known(row.receives, 4),
            known(row.instructions, 0),
            known(row.allocations, 2),
        );
    }
    for left_out in &table.left_out {
        let _ = writeln!(text, "\nleft out: {}: {}", left_out.client, left_out.why);
    }
    text
}

fn known(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.digits$}"))
}

/// The row of a client at a depth.
pub(super) fn row<'a>(table: &'a Table, client: &str, depth: usize) -> Option<&'a Row> {
    table.rows.iter().find(|row| row.client == client && row.depth == depth)
}
