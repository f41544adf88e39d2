//! `windlass sessions show`.

use clap::Args;
use serde_json::json;
use windlass_protocol::request::SessionRow;
use windlass_protocol::{Advice, SessionKey, Verdict};

use super::desk::{Desk, Limit};
use super::list::{ago, as_json, is_running, model};
use super::named;
use crate::cli::args::Global;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{DIM, Output};
use crate::cli::store;
use crate::cli::text::escaped;
use crate::sessions::{HistoryPage, HistoryQuery};

/// Longest value shown, in characters.
const VALUE_LIMIT: usize = 200;

/// Show one session: what it is, and what runs in it
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
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

pub(super) async fn run(global: &Global, args: &ShowArgs, output: &Output) -> Result<Exit, Failure> {
    let desk = Desk::open(global, &args.time, output).await?;
    let found = look(&desk, args.session.as_deref()).await;
    let gateway = desk.gateway.id().clone();
    desk.close().await;
    let found = found?;
    let running = running(&found);
    if output.json() {
        let mut value = as_json(&found.row);
        value["gateway"] = json!({"id": gateway, "release": found.server, "verdict": found.verdict.to_string()});
        value["runId"] = json!(running.as_ref().and_then(|(run, _)| run.clone()));
        value["running"] = json!(running.is_some() || is_running(&found.row) == Some(true));
        value["messages"] = json!(found.last.total);
        output.value(&value)?;
        return Ok(Exit::Ok);
    }
    let row = &found.row;
    let now = store::now();
    let run = match &running {
        Some((run, text)) => format!(
            "{} {DIM}{}{DIM:#}",
            escaped(run.as_deref().unwrap_or("running"), VALUE_LIMIT),
            escaped(text, VALUE_LIMIT)
        ),
        None if is_running(row) == Some(true) => "running".to_owned(),
        None => "none".to_owned(),
    };
    let tokens = row.total_tokens.map(|tokens| match row.context_tokens {
        Some(most) => format!("{tokens} of {most}"),
        None => tokens.to_string(),
    });
    let lines = [
        ("session", Some(escaped(&row.key, VALUE_LIMIT))),
        ("label", row.label.as_ref().map(|label| escaped(label, VALUE_LIMIT))),
        ("model", model(row).map(|model| escaped(&model, VALUE_LIMIT))),
        ("changed", row.updated_at.map(|at| ago(at, now))),
        ("messages", found.last.total.map(|total| total.to_string())),
        ("tokens", tokens),
        ("transcript", row.session_id.as_ref().map(|id| escaped(id, VALUE_LIMIT))),
        ("run", Some(run)),
        ("gateway", Some(format!("{gateway}, {}", found.verdict))),
    ];
    for (name, value) in lines {
        output.line(&format!("{DIM}{name:<10}{DIM:#}  {}", value.as_deref().unwrap_or("-")))?;
    }
    Ok(Exit::Ok)
}

/// The run that goes on, with what it said so far, where the release says so.
fn running(found: &Found) -> Option<(Option<String>, String)> {
    let run = found.last.running.as_ref()?;
    Some((run.run_id.clone(), run.text.clone().unwrap_or_default()))
}

async fn look(desk: &Desk, text: Option<&str>) -> Result<Found, Failure> {
    let key = named::session(desk, text).await?;
    let row = desk.sessions.get(&key).await.map_err(|error| desk.failed(&error))?;
    let row = row.ok_or_else(|| not_there(desk, &key))?;
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

fn not_there(desk: &Desk, key: &SessionKey) -> Failure {
    Failure::Told(
        Exit::Rejected,
        Advice::new(
            format!(
                "{} has no session {}",
                desk.gateway.id(),
                escaped(key.as_str(), VALUE_LIMIT)
            ),
            "See windlass sessions list; the first message makes it.",
        ),
    )
}
