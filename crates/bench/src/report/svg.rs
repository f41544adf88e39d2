//! A comparison as a picture: a bar for each client at one depth, as long as its requests per second.

use std::fmt::Write as _;

use super::Table;
use super::table::row;

const WIDTH: u32 = 720;
const BAR: u32 = 22;
const STEP: u32 = 30;
/// Where bars begin: room for the longest name.
const LEFT: u32 = 190;
/// Room for the figure behind the longest bar.
const RIGHT: u32 = 110;
const TOP: u32 = 40;

/// The picture. Its colours are readable on white and on black.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a length in pixels"
)]
pub fn picture(table: &Table, depth: usize) -> String {
    let mut clients: Vec<&str> = Vec::new();
    for row in &table.rows {
        if !clients.contains(&row.client.as_str()) {
            clients.push(&row.client);
        }
    }
    let mut rows: Vec<_> = clients.iter().filter_map(|client| row(table, client, depth)).collect();
    rows.sort_by(|a, b| b.per_second.total_cmp(&a.per_second));
    let longest = rows.first().map_or(1.0, |row| row.per_second);
    let height = TOP + STEP * rows.len() as u32 + 10;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"#888\">\n\
         <text x=\"10\" y=\"22\" font-size=\"15\">Requests per second, {depth} under way at a time, one client CPU</text>\n"
    );
    for (index, row) in rows.iter().enumerate() {
        let y = TOP + STEP * index as u32;
        let length = (f64::from(WIDTH - LEFT - RIGHT) * row.per_second / longest).max(1.0) as u32;
        let colour = if row.client.starts_with("windlass") {
            "#2a7fd4"
        } else {
            "#9a9a9a"
        };
        let (middle, end, start) = (y + 16, LEFT + length + 6, LEFT - 8);
        let _ = writeln!(
            svg,
            "<text x=\"{start}\" y=\"{middle}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{length}\" height=\"{BAR}\" fill=\"{colour}\"/>\
             <text x=\"{end}\" y=\"{middle}\">{}</text>",
            row.client,
            thousands(row.per_second)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn thousands(value: f64) -> String {
    if value < 10_000.0 {
        format!("{value:.0}")
    } else {
        format!("{:.0} k", value / 1e3)
    }
}
