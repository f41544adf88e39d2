//! `windlass sessions list` and `show`.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use windlass::sessions::{HistoryPage, HistoryQuery, SessionQuery};
use windlass::store::Timestamp;
use windlass_protocol::Verdict;
use windlass_protocol::request::SessionRow;

use crate::columns::{Cell, TextTable};
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::{DIM, GOOD, Output};
use crate::sessions::connected::{self, ConnectedSession, TimeLimit};
use crate::store;
use crate::text::{escaped, span};
use crate::units::parse_span;

/// Longest key shown, in characters; `--json` shows all of it.
const KEY_LIMIT: usize = 80;
/// Longest label or model shown, in characters.
const NAME_LIMIT: usize = 40;

/// List sessions, the most recently changed first
#[derive(Debug, Args)]
pub(crate) struct SessionsListArgs {
    /// Only sessions of this agent, by id or name
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only sessions that changed within this time, for example 1h
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    active: Option<Duration>,
    /// Only the session with this label
    #[arg(long)]
    label: Option<String>,
    /// Only sessions that contain this text
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// At most N sessions [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    time: TimeLimit,
}

pub(crate) async fn list(global: &Global, args: &SessionsListArgs, output: &Output) -> Result<ExitCode, Failure> {
    let desk = ConnectedSession::open(global, &args.time, output).await?;
    let listed = rows_of(&desk, args).await;
    desk.close().await;
    let rows = listed?;
    if output.json() {
        for row in &rows {
            output.value(&as_json(row))?;
        }
    } else {
        let now = store::now();
        let cells: Vec<Vec<Cell>> = rows.iter().map(|row| cells(row, now)).collect();
        let headings = ["SESSION", "LABEL", "MODEL", "TOKENS", "CHANGED", "RUN"];
        output.line(
            &TextTable::new(&headings, &cells)
                .spare(&["TOKENS", "LABEL", "MODEL"])
                .lines(output.width())
                .join("\n"),
        )?;
    }
    Ok(ExitCode::Ok)
}

async fn rows_of(desk: &ConnectedSession, args: &SessionsListArgs) -> Result<Vec<SessionRow>, Failure> {
    let mut query = SessionQuery::all();
    if let Some(agent) = &args.agent {
        query = query.agent(connected::agent(desk, agent).await?);
    }
    if let Some(time) = args.active {
        query = query.active_within(time);
    }
    if let Some(label) = &args.label {
        query = query.label(label);
    }
    if let Some(text) = &args.search {
        query = query.search(text);
    }
    if let Some(limit) = args.limit {
        query = query.limit(limit as usize);
    }
    let listed = desk.sessions.list(&query).await;
    listed.map_err(|error| desk.no_list(&error))
}

fn cells(row: &SessionRow, now: Timestamp) -> Vec<Cell> {
    let dash = |text: Option<String>| Cell::plain(text.unwrap_or_else(|| "-".to_owned()));
    vec![
        Cell::plain(escaped(&row.key, KEY_LIMIT)),
        dash(row.label.as_ref().map(|label| escaped(label, NAME_LIMIT))),
        dash(model(row).map(|model| escaped(&model, NAME_LIMIT))),
        dash(row.total_tokens.map(|tokens| tokens.to_string())),
        dash(row.updated_at.map(|at| ago(at, now))),
        match is_running(row) {
            Some(true) => Cell::styled("running", GOOD),
            Some(false) => Cell::styled("idle", DIM),
            None => Cell::styled("-", DIM),
        },
    ]
}

/// The model with its provider.
pub(crate) fn model(row: &SessionRow) -> Option<String> {
    let model = row.model.as_ref()?;
    let provider = row.model_provider.as_ref();
    Some(provider.map_or_else(|| model.clone(), |provider| format!("{provider}/{model}")))
}

/// How long ago a moment is that a gateway names, by this machine's clock.
pub(crate) fn ago(ms: u64, now: Timestamp) -> String {
    let at = Timestamp::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    format!("{} ago", span(now.saturating_duration_since(at)))
}

/// Whether something runs in it, where the release says so (`hasActiveRun`, 2026.9).
pub(crate) fn is_running(row: &SessionRow) -> Option<bool> {
    row.extra.get("hasActiveRun").and_then(Value::as_bool)
}

/// The fields that all releases have, and the row itself.
pub(crate) fn as_json(row: &SessionRow) -> Value {
    json!({
        "key": row.key,
        "label": row.label,
        "model": model(row),
        "updatedAtMs": row.updated_at,
        "totalTokens": row.total_tokens,
        "running": is_running(row),
        "row": row,
    })
}

/// Longest value shown, in characters.
const VALUE_LIMIT: usize = 200;

/// Show one session and its current run
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The session, by key, label or agent [default: the default agent's main session]
    #[arg(value_name = "SESSION")]
    session: Option<String>,
    #[command(flatten)]
    time: TimeLimit,
}

/// The details of a session.
struct SessionDetails {
    row: SessionRow,
    /// Its last row, and its current run.
    last: HistoryPage,
    server: String,
    verdict: Verdict,
}

pub(crate) async fn show(global: &Global, args: &ShowArgs, output: &Output) -> Result<ExitCode, Failure> {
    let desk = ConnectedSession::open(global, &args.time, output).await?;
    let found = look(&desk, args.session.as_deref()).await;
    let gateway = desk.target.name.clone();
    desk.close().await;
    let found = found?;
    if output.json() {
        output.value(&json_of(&found, &gateway))?;
    } else {
        output.line(&lines(&found, &gateway).join("\n"))?;
    }
    Ok(ExitCode::Ok)
}

fn json_of(found: &SessionDetails, gateway: &str) -> Value {
    let running = found.last.running.as_ref();
    let mut value = as_json(&found.row);
    value["gateway"] = json!({"id": gateway, "release": found.server, "verdict": found.verdict.to_string()});
    value["runId"] = json!(running.and_then(|run| run.run_id.as_deref()));
    value["running"] = json!(running.is_some() || is_running(&found.row) == Some(true));
    value["messages"] = json!(found.last.total);
    value
}

fn lines(found: &SessionDetails, gateway: &str) -> Vec<String> {
    let row = &found.row;
    let short = |text: &String| escaped(text, VALUE_LIMIT);
    let tokens = row.total_tokens.map(|tokens| match row.context_tokens {
        Some(most) => format!("{tokens} of {most}"),
        None => tokens.to_string(),
    });
    let values = [
        ("session", Some(short(&row.key))),
        ("label", row.label.as_ref().map(short)),
        ("model", model(row).as_ref().map(short)),
        ("changed", row.updated_at.map(|at| ago(at, store::now()))),
        ("messages", found.last.total.map(|total| total.to_string())),
        ("tokens", tokens),
        ("transcript", row.session_id.as_ref().map(short)),
        ("run", Some(run_of(found))),
        ("gateway", Some(format!("{gateway}, {}", found.verdict))),
    ];
    let line =
        |(name, value): (&str, Option<String>)| format!("{DIM}{name:<10}{DIM:#}  {}", value.as_deref().unwrap_or("-"));
    values.map(line).into()
}

/// The current run, where the release reports it.
fn run_of(found: &SessionDetails) -> String {
    match &found.last.running {
        Some(run) => {
            let id = escaped(run.run_id.as_deref().unwrap_or("running"), VALUE_LIMIT);
            let said = escaped(run.text.as_deref().unwrap_or_default(), VALUE_LIMIT);
            format!("{id} {DIM}{said}{DIM:#}").trim_end().to_owned()
        }
        None if is_running(&found.row) == Some(true) => "running".to_owned(),
        None => "none".to_owned(),
    }
}

async fn look(desk: &ConnectedSession, text: Option<&str>) -> Result<SessionDetails, Failure> {
    let key = connected::session(desk, text).await?;
    let row = connected::there(desk, &key).await?;
    let last = desk.sessions.history(&key, &HistoryQuery::last().limit(1)).await;
    let last = last.map_err(|error| desk.no_history(&error))?;
    let status = desk.gateway.status().borrow().clone();
    let server = status
        .hello
        .map(|hello| hello.server.version.clone())
        .unwrap_or_default();
    Ok(SessionDetails {
        row,
        last,
        verdict: Verdict::of(Some(&server), None),
        server,
    })
}
