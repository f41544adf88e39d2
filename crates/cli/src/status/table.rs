//! The table of lines.

use std::fmt::Write as _;
use std::time::SystemTime;

use anstyle::Style;
use windlass::{LineState, LineStatus};
use windlass_protocol::Advice;

use crate::columns::{Cell, Table};
use crate::output::{BAD, DIM, GOOD, Output, WARN};
use crate::text::{escaped, span};

const HEADINGS: [&str; 7] = [
    "GATEWAY",
    "STATE",
    "SINCE",
    "CONNECTIONS",
    "PROTOCOL",
    "RELEASE",
    "NEXT ATTEMPT",
];

/// A gateway in the table.
#[derive(Debug)]
pub(crate) enum Row {
    Line(LineStatus),
    /// It has no line: what it is configured with can't be used.
    Misconfigured(Advice),
}

/// Where a reason's text begins.
const INDENT: usize = 8;

/// Longest release name shown, in characters.
const RELEASE_LIMIT: usize = 32;

/// The table, and below each line that is not up the reason and the next step, in lines of at most `width` characters.
pub(crate) fn lines(gateways: &[(String, Row)], now: SystemTime, width: usize) -> Vec<String> {
    let cells = |(name, shown): &(String, Row)| match shown {
        Row::Line(status) => row(name, status, now),
        Row::Misconfigured(_) => {
            let mut cells = vec![Cell::plain(name), Cell::styled("not set up", BAD)];
            cells.resize(HEADINGS.len(), Cell::plain("-"));
            cells
        }
    };
    let rows: Vec<Vec<Cell>> = gateways.iter().map(cells).collect();
    let table = Table::new(&HEADINGS, &rows).spare(&["CONNECTIONS", "PROTOCOL", "SINCE", "RELEASE"]);
    table.lines_with(width, |index| reason(&gateways[index].1, width))
}

fn row(name: &str, status: &LineStatus, now: SystemTime) -> Vec<Cell> {
    let dash = || "-".to_owned();
    let since = now.duration_since(status.since).unwrap_or_default();
    let next = status.state.next_attempt_at().map(|at| match at.duration_since(now) {
        Ok(left) => format!("in {}", span(left)),
        Err(_) => "now".to_owned(),
    });
    vec![
        Cell::plain(name),
        Cell::styled(&status.state, style_of(&status.state)),
        Cell::plain(span(since)),
        Cell::plain(status.generation),
        Cell::plain(status.protocol().map_or_else(dash, |protocol| protocol.to_string())),
        Cell::plain(
            status
                .server_version()
                .map_or_else(dash, |version| escaped(version, RELEASE_LIMIT)),
        ),
        Cell::plain(next.unwrap_or_else(dash)),
    ]
}

pub(crate) fn style_of(state: &LineState) -> Style {
    match state {
        LineState::Up { .. } => GOOD,
        LineState::Paused { .. } | LineState::Degraded { .. } | LineState::Closed => BAD,
        _ => WARN,
    }
}

/// What is wrong with a line that is not up, and what to do.
fn reason(shown: &Row, width: usize) -> Vec<String> {
    let advice = match shown {
        Row::Line(status) => status
            .last_error
            .as_ref()
            .filter(|_| !status.is_up())
            .map(|error| &error.advice),
        Row::Misconfigured(why) => Some(why),
    };
    let Some(Advice { summary, next_step }) = advice else {
        return Vec::new();
    };
    let mut lines = folded(&format!("{BAD}why:{BAD:#}  "), summary, width);
    if !next_step.is_empty() {
        lines.extend(folded(&format!("{DIM}next:{DIM:#} "), next_step, width));
    }
    lines
}

/// A text behind its label, folded at spaces; what follows the first line stands below its beginning.
fn folded(label: &str, text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![format!("  {label}")];
    let mut used = INDENT;
    for word in text.split(' ') {
        let space = usize::from(used > INDENT);
        let length = word.chars().count();
        let fits = used.saturating_add(space + length) <= width || space == 0;
        match lines.last_mut() {
            Some(line) if fits => {
                let _ = write!(line, "{:space$}{word}", "");
                used += space + length;
            }
            _ => {
                lines.push(format!("{:INDENT$}{word}", ""));
                used = INDENT + length;
            }
        }
    }
    lines
}

/// One change, as one line: its time, the change, and what to do.
pub(crate) fn timed_change(name: &str, status: &LineStatus, output: &Output) -> String {
    let next = match &status.last_error {
        Some(error) if status.state.next_attempt_at().is_some() => format!(" {}", error.advice.next_step),
        _ => String::new(),
    };
    format!(
        "{DIM}{}{DIM:#} {}{next}",
        output.time_of_day(status.since),
        change_of(name, status)
    )
}

/// One change: the gateway, its line's state, and why.
pub(crate) fn change(status: &LineStatus) -> String {
    change_of(status.id.as_str(), status)
}

/// The same, of a gateway that goes by another name than its line.
pub(crate) fn change_of(name: &str, status: &LineStatus) -> String {
    let style = style_of(&status.state);
    let mut line = format!("{name} {style}{}{style:#}", status.state);
    match (&status.state, &status.last_error) {
        (LineState::Up { hello }, _) => {
            let version = escaped(&hello.server.version, RELEASE_LIMIT);
            let _ = write!(
                line,
                " (connection {}, protocol {}, release {version})",
                status.generation, hello.protocol
            );
        }
        (LineState::Connecting { attempt }, _) if *attempt > 1 => {
            let _ = write!(line, " (attempt {attempt})");
        }
        (LineState::Waiting { .. } | LineState::Paused { .. } | LineState::Degraded { .. }, Some(error)) => {
            let _ = write!(line, ": {}.", error.advice.summary.trim_end_matches('.'));
        }
        _ => {}
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use windlass_protocol::{GatewayId, Generation};

    use super::*;
    use windlass::LineError;

    #[test]
    fn a_line_that_is_down_shows_why_and_what_to_do() {
        let at = UNIX_EPOCH + Duration::from_secs(100);
        let status = LineStatus {
            id: GatewayId::new("prod").unwrap(),
            state: LineState::Waiting {
                until: at + Duration::from_secs(2),
            },
            since: UNIX_EPOCH,
            generation: Generation::new(3),
            hello: None,
            last_error: Some(LineError {
                at,
                kind: windlass::LineErrorKind::Unreachable,
                advice: Advice::new("It broke.", "Mend it."),
            }),
        };
        let plain: Vec<String> = lines(&[("prod".into(), Row::Line(status))], at, usize::MAX)
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect();
        assert_eq!(
            plain,
            [
                "GATEWAY  STATE    SINCE  CONNECTIONS  PROTOCOL  RELEASE  NEXT ATTEMPT",
                "prod     waiting  1 min  3            -         -        in 2.0 s",
                "  why:  It broke.",
                "  next: Mend it.",
            ]
        );
    }
    #[test]
    fn a_long_reason_is_folded_at_spaces() {
        let shown = folded("next: ", "Check that the gateway runs.", 22);
        assert_eq!(shown, ["  next: Check that the", "        gateway runs."]);
        assert_eq!(folded("next: ", "unbreakable-text", 10), ["  next: unbreakable-text"]);
    }
}
