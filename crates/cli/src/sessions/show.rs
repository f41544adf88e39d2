//! `windlass sessions show`.

use clap::Args;
use serde_json::{Value, json};
use windlass::sessions::{HistoryPage, HistoryQuery};
use windlass_protocol::Verdict;
use windlass_protocol::request::SessionRow;

use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::output::{DIM, Output};
use crate::sessions::desk::{Desk, Limit};
use crate::sessions::list::{ago, as_json, is_running, model};
use crate::sessions::named;
use crate::store;
use crate::text::escaped;

/// Longest value shown, in characters.
const VALUE_LIMIT: usize = 200;

/// Show one session: what it is, and what runs in it
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The session, by key, label or agent [default: the default agent's main session]
    #[arg(value_name = "SESSION")]
    session: Option<String>,
    #[command(flatten)]
    time: Limit,
}

/// What was found.
struct Found {
    row: SessionRow,
    /// Its last row, and what goes on.
    last: HistoryPage,
    server: String,
    verdict: Verdict,
}

pub(crate) async fn run(global: &Global, args: &ShowArgs, output: &Output) -> Result<Exit, Failure> {
    let desk = Desk::open(global, &args.time, output).await?;
    let found = look(&desk, args.session.as_deref()).await;
    let gateway = desk.target.name.clone();
    desk.close().await;
    let found = found?;
    if output.json() {
        output.value(&json_of(&found, &gateway))?;
    } else {
        output.line(&lines(&found, &gateway).join("\n"))?;
    }
    Ok(Exit::Ok)
}

fn json_of(found: &Found, gateway: &str) -> Value {
    let running = found.last.running.as_ref();
    let mut value = as_json(&found.row);
    value["gateway"] = json!({"id": gateway, "release": found.server, "verdict": found.verdict.to_string()});
    value["runId"] = json!(running.and_then(|run| run.run_id.as_deref()));
    value["running"] = json!(running.is_some() || is_running(&found.row) == Some(true));
    value["messages"] = json!(found.last.total);
    value
}

fn lines(found: &Found, gateway: &str) -> Vec<String> {
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

/// What runs, where the release says so.
fn run_of(found: &Found) -> String {
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

async fn look(desk: &Desk, text: Option<&str>) -> Result<Found, Failure> {
    let key = named::session(desk, text).await?;
    let row = named::there(desk, &key).await?;
    let last = desk.sessions.history(&key, &HistoryQuery::last().limit(1)).await;
    let last = last.map_err(|error| desk.no_history(&error))?;
    let status = desk.gateway.status().borrow().clone();
    let server = status
        .hello
        .map(|hello| hello.server.version.clone())
        .unwrap_or_default();
    Ok(Found {
        row,
        last,
        verdict: Verdict::of(Some(&server), None),
        server,
    })
}
