//! `windlass status`: the state of every line, once or live.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use anstyle::Style;
use clap::Args;
use futures_util::future::{join_all, select_all};
use serde_json::{Value, json};
use windlass::{Gateway, LineState, LineStatus};
use windlass_line::{Clock as _, TokioClock};
use windlass_protocol::Advice;

use crate::columns::{Cell, TextTable};
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::{BAD, DIM, GOOD, Output, Redraw, WARN};
use crate::session::{self, Patience, Setup, Target, Unusable};
use crate::text::{escaped, millis, span};
use crate::units::parse_span;

/// How often a live table is drawn when nothing happens, to keep its times right.
const REFRESH: Duration = Duration::from_secs(1);

/// Connect and show the state of every gateway
///
/// The exit code is that of the worst gateway: 0 if all are connected, 2 if the configuration of one can't be used, 3 if one is
/// down, 4 if one refuses us.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Stay connected and show changes until interrupted
    #[arg(long)]
    watch: bool,
    /// Wait this long for gateways that neither answer nor refuse [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    timeout: Option<Duration>,
}

pub(crate) async fn run(global: &Global, args: StatusArgs, output: &Output) -> Result<ExitCode, Failure> {
    let Setup {
        targets,
        timeouts,
        tokens,
        unusable,
    } = session::prepare_usable(global, output).await?;
    let (windlass, gateways) = session::open(&targets, tokens).await?;
    let limit = args.timeout.unwrap_or(timeouts.connect);
    let ended = if args.watch {
        watch(&targets, &gateways, &unusable, output).await
    } else {
        once(&targets, &gateways, &unusable, limit, output).await
    };
    session::close(windlass).await;
    ended
}

async fn once(
    targets: &[Target],
    gateways: &[Gateway],
    unusable: &[(usize, Unusable)],
    limit: Duration,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let settled = join_all(
        gateways
            .iter()
            .zip(targets)
            .map(|(gateway, target)| session::settle(gateway, &target.name, Patience::FirstAttempt, limit, output)),
    );
    let statuses = settled.await;
    if output.json() {
        let rows = targets
            .iter()
            .zip(&statuses)
            .map(|(target, status)| as_json(target, status));
        let mut rows: Vec<_> = rows.collect();
        for (place, gateway) in unusable {
            rows.insert(*place, unusable_as_json(gateway));
        }
        output.value(&json!({"gateways": rows}))?;
    } else {
        output.line(
            &table_lines(
                &named(targets, statuses.clone(), unusable),
                TokioClock::start().wall(),
                output.width(),
            )
            .join("\n"),
        )?;
    }
    let of_unusable = unusable.first().map(|_| ExitCode::Usage);
    Ok(statuses
        .iter()
        .map(session::exit_of)
        .chain(of_unusable)
        .max()
        .unwrap_or(ExitCode::Ok))
}

/// Runs until it is interrupted.
async fn watch(
    targets: &[Target],
    gateways: &[Gateway],
    unusable: &[(usize, Unusable)],
    output: &Output,
) -> Result<ExitCode, Failure> {
    if !output.redraws() {
        for (_, gateway) in unusable {
            output.error(&gateway.why);
        }
    }
    let clock = TokioClock::start();
    let mut lines: Vec<_> = gateways.iter().map(Gateway::status).collect();
    let mut redraw = Redraw::default();
    for line in &mut lines {
        line.mark_changed();
    }
    loop {
        if output.redraws() {
            let statuses: Vec<_> = lines.iter_mut().map(|line| line.borrow_and_update().clone()).collect();
            redraw.draw(
                output,
                &table_lines(&named(targets, statuses, unusable), clock.wall(), output.drawn_width()),
            )?;
        } else {
            for (target, line) in targets.iter().zip(&mut lines) {
                // An error would mean that the line is closed, which only happens at the end.
                if line.has_changed().unwrap_or(false) {
                    let status = line.borrow_and_update().clone();
                    if output.json() {
                        output.value(&as_json(target, &status))?;
                    } else {
                        output.line(&timed_change(&target.name, &status, output))?;
                    }
                }
            }
        }
        let changed = select_all(lines.iter_mut().map(|line| Box::pin(line.changed())));
        // In time or not: both draw again.
        let _ = tokio::time::timeout(REFRESH, changed).await;
    }
}

/// Each line's status with its gateway's name, and the gateways that have no line.
fn named(targets: &[Target], statuses: Vec<LineStatus>, unusable: &[(usize, Unusable)]) -> Vec<(String, StatusRow)> {
    let lines = statuses.into_iter().map(StatusRow::Line);
    let mut rows: Vec<_> = targets.iter().map(|target| target.name.clone()).zip(lines).collect();
    for (place, gateway) in unusable {
        rows.insert(
            *place,
            (gateway.name.clone(), StatusRow::Misconfigured(gateway.why.clone())),
        );
    }
    rows
}

fn unusable_as_json(gateway: &Unusable) -> Value {
    json!({
        "gateway": gateway.name,
        "url": gateway.endpoint.as_ref().map(ToString::to_string),
        "state": "misconfigured",
        "lastError": {"summary": gateway.why.summary, "nextStep": gateway.why.next_step},
    })
}

fn as_json(target: &Target, status: &LineStatus) -> Value {
    json!({
        "gateway": target.name,
        "url": target.endpoint.to_string(),
        "state": status.state.name(),
        "sinceMs": millis(status.since),
        "generation": status.generation,
        "protocol": status.protocol(),
        "version": status.server_version(),
        "authMethod": status.auth_method(),
        "nextAttemptAtMs": status.state.next_attempt_at().map(millis),
        "lastError": status.last_error.as_ref().map(|error| json!({
            "atMs": millis(error.at),
            "summary": error.advice.summary,
            "nextStep": error.advice.next_step,
        })),
    })
}

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
pub(crate) enum StatusRow {
    Line(LineStatus),
    /// It has no line, because its configuration can't be used.
    Misconfigured(Advice),
}

/// Where a reason's text begins.
const INDENT: usize = 8;

/// Longest release name shown, in characters.
const RELEASE_LIMIT: usize = 32;

/// The table, and below each line that is not up the reason and the next step, in lines of at most `width` characters.
pub(crate) fn table_lines(gateways: &[(String, StatusRow)], now: SystemTime, width: usize) -> Vec<String> {
    let cells = |(name, shown): &(String, StatusRow)| match shown {
        StatusRow::Line(status) => row(name, status, now),
        StatusRow::Misconfigured(_) => {
            let mut cells = vec![Cell::plain(name), Cell::styled("not set up", BAD)];
            cells.resize(HEADINGS.len(), Cell::plain("-"));
            cells
        }
    };
    let rows: Vec<Vec<Cell>> = gateways.iter().map(cells).collect();
    let table = TextTable::new(&HEADINGS, &rows).spare(&["CONNECTIONS", "PROTOCOL", "SINCE", "RELEASE"]);
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

/// The problem of a line that is not up, and the next step.
fn reason(shown: &StatusRow, width: usize) -> Vec<String> {
    let advice = match shown {
        StatusRow::Line(status) => status
            .last_error
            .as_ref()
            .filter(|_| !status.is_up())
            .map(|error| &error.advice),
        StatusRow::Misconfigured(why) => Some(why),
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

/// A text behind its label, folded at spaces, with a hanging indent.
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

/// One change, as one line: its time, the change, and the next step.
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
        let plain: Vec<String> = table_lines(&[("prod".into(), StatusRow::Line(status))], at, usize::MAX)
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
