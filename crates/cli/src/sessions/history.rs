//! `windlass sessions history`.

use clap::Args;
use serde_json::json;
use windlass::sessions::{HistoryCursor, HistoryDelta, HistoryError, HistoryPage, HistoryQuery};
use windlass_protocol::SessionKey;
use windlass_protocol::request::HISTORY_LIMIT;

use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::output::{DIM, Output};
use crate::sessions::desk::{Desk, Limit};
use crate::sessions::{named, transcript};
use crate::text::escaped;

/// Rows shown unless asked otherwise: a few screens.
const ROWS: u32 = 50;
/// Most rows that `--all` reads: what is held in memory of them, some 100 MB.
const MOST_ROWS: usize = 100_000;
/// Longest beginning of an answer under way shown, in characters.
const RUNNING_LIMIT: usize = 200;

/// Show what was said in a session, the newest last
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The session, by key, label or agent [default: the default agent's main session]
    #[arg(value_name = "SESSION")]
    session: Option<String>,
    /// At most so many messages [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(HISTORY_LIMIT)))]
    limit: Option<u32>,
    /// The page before the one that named this number
    #[arg(long, value_name = "N", conflicts_with_all = ["after", "all"])]
    before: Option<u64>,
    /// What was added since the page that named this cursor (releases from 2026.9 on have them)
    #[arg(long, value_name = "CURSOR", conflicts_with_all = ["all", "limit"])]
    after: Option<String>,
    /// All messages that the gateway shows
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    #[command(flatten)]
    time: Limit,
}

pub(crate) async fn run(global: &Global, args: &HistoryArgs, output: &Output) -> Result<Exit, Failure> {
    let desk = Desk::open(global, &args.time, output).await?;
    let read = async {
        let key = named::session(&desk, args.session.as_deref()).await?;
        let page = read(&desk, &key, args, output).await;
        let page = page.map_err(|error| desk.no_history(&error))?;
        // Gateways answer with an empty history for a session that is not there.
        if page.rows.is_empty() && page.running.is_none() && page.older.is_none() {
            named::there(&desk, &key).await?;
        }
        Ok::<_, Failure>(page)
    };
    let page = read.await;
    desk.close().await;
    show(&page?, output)?;
    Ok(Exit::Ok)
}

async fn read(desk: &Desk, key: &SessionKey, args: &HistoryArgs, output: &Output) -> Result<HistoryPage, HistoryError> {
    let limit = args.limit.unwrap_or(ROWS);
    if args.all {
        return all(desk, key).await;
    }
    if let Some(cursor) = &args.after {
        let cursor = HistoryCursor::parse(cursor.as_str());
        return Ok(match desk.sessions.history_since(key, &cursor).await? {
            HistoryDelta::Added(page) => page,
            HistoryDelta::Replaced(page) => {
                output.note("the cursor does not hold any more (a reset, a compaction, or too far behind): these are the last messages");
                page
            }
        });
    }
    let query = args.before.map_or_else(HistoryQuery::last, HistoryQuery::before);
    desk.sessions.history(key, &query.limit(limit)).await
}

/// Page by page, from the last one to the first.
async fn all(desk: &Desk, key: &SessionKey) -> Result<HistoryPage, HistoryError> {
    let mut page = desk
        .sessions
        .history(key, &HistoryQuery::last().limit(HISTORY_LIMIT))
        .await?;
    let mut pages = Vec::new();
    let mut count = page.rows.len();
    while let Some(older) = page.older.filter(|_| count < MOST_ROWS) {
        let query = HistoryQuery::before(older).limit(HISTORY_LIMIT);
        match desk.sessions.history(key, &query).await {
            Ok(before) if !before.rows.is_empty() => {
                count += before.rows.len();
                page.older = before.older;
                pages.push(before.rows);
            }
            // No release shows more than it can.
            Ok(_) | Err(HistoryError::OutOfReach { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    let newest = std::mem::take(&mut page.rows);
    page.rows = pages.into_iter().rev().flatten().chain(newest).collect();
    Ok(page)
}

fn show(page: &HistoryPage, output: &Output) -> Result<(), Failure> {
    if output.json() {
        for row in &page.rows {
            output.value(&transcript::as_json(row))?;
        }
        output.value(&json!({
            "type": "page",
            "before": page.older,
            "after": page.cursor.as_ref().map(HistoryCursor::as_str),
            "messages": page.total,
            "sessionId": page.session_id,
            "running": page.running,
        }))?;
        return Ok(());
    }
    if let Some(older) = page.older {
        output.note(&format!("there are older messages: --before {older}, or --all"));
    }
    for row in &page.rows {
        output.line(&transcript::lines(row, output).join("\n"))?;
    }
    if let Some(run) = &page.running {
        let text = escaped(run.text.as_deref().unwrap_or_default(), RUNNING_LIMIT);
        output.line(&format!("{DIM}(answering: {text}){DIM:#}"))?;
    }
    if page.rows.is_empty() {
        output.note("nothing was said there, as far as the gateway shows");
    }
    Ok(())
}
