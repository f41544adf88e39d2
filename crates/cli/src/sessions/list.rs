//! `windlass sessions list`.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use windlass::sessions::SessionQuery;
use windlass::store::Timestamp;
use windlass_protocol::request::SessionRow;

use crate::columns::{Cell, Table};
use crate::config::parse_span;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::output::{DIM, GOOD, Output};
use crate::sessions::desk::{Desk, Limit};
use crate::sessions::named;
use crate::store;
use crate::text::{escaped, span};

/// Longest key shown, in characters; `--json` shows all of it.
const KEY_LIMIT: usize = 80;
/// Longest label or model shown, in characters.
const NAME_LIMIT: usize = 40;

/// Show sessions, those changed last first
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those of this agent, by id or name
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only those that changed within this time, for example 1h
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    active: Option<Duration>,
    /// Only the one with this label
    #[arg(long)]
    label: Option<String>,
    /// Only those in which this text is found
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// At most so many [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    time: Limit,
}

pub(crate) async fn run(global: &Global, args: &ListArgs, output: &Output) -> Result<Exit, Failure> {
    let desk = Desk::open(global, &args.time, output).await?;
    let listed = list(&desk, args).await;
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
            &Table::new(&headings, &cells)
                .spare(&["TOKENS", "LABEL", "MODEL"])
                .lines(output.width())
                .join("\n"),
        )?;
    }
    Ok(Exit::Ok)
}

async fn list(desk: &Desk, args: &ListArgs) -> Result<Vec<SessionRow>, Failure> {
    let mut query = SessionQuery::all();
    if let Some(agent) = &args.agent {
        query = query.agent(named::agent(desk, agent).await?);
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

/// What is the same on all releases, and the row itself.
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
