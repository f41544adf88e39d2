//! `windlass sessions history`, and rows of a history for people and for programs.

use clap::Args;
use serde_json::{Value, json};
use windlass::sessions::{HistoryCursor, HistoryDelta, HistoryError, HistoryPage, HistoryQuery};
use windlass_protocol::SessionKey;
use windlass_protocol::request::{ChatMessage, HISTORY_LIMIT};

use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::{BAD, DIM, HEAD, Output};
use crate::sessions::connected::{self, ConnectedSession, TimeLimit};
use crate::text::{escaped, harmless};

/// Rows shown unless asked otherwise: a few screens.
const ROWS: u32 = 50;
/// Most rows that `--all` reads: some 100 MB in memory.
const MOST_ROWS: usize = 100_000;
/// Longest beginning of an answer under way shown, in characters.
const RUNNING_LIMIT: usize = 200;

/// Show the messages of a session, the newest last
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The session, by key, label or agent [default: the default agent's main session]
    #[arg(value_name = "SESSION")]
    session: Option<String>,
    /// At most N messages [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(HISTORY_LIMIT)))]
    limit: Option<u32>,
    /// Show the page before the one that printed this number
    #[arg(long, value_name = "N", conflicts_with_all = ["after", "all"])]
    before: Option<u64>,
    /// Show messages that were added since the page that printed this cursor (releases from 2026.9 on)
    #[arg(long, value_name = "CURSOR", conflicts_with_all = ["all", "limit"])]
    after: Option<String>,
    /// Show all messages that the gateway returns
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    #[command(flatten)]
    time: TimeLimit,
}

pub(crate) async fn run(global: &Global, args: &HistoryArgs, output: &Output) -> Result<ExitCode, Failure> {
    let desk = ConnectedSession::open(global, &args.time, output).await?;
    let read = async {
        let key = connected::session(&desk, args.session.as_deref()).await?;
        let page = read(&desk, &key, args, output).await;
        let page = page.map_err(|error| desk.no_history(&error))?;
        // Gateways answer with an empty history for a session that is not there.
        if page.rows.is_empty() && page.running.is_none() && page.older.is_none() {
            connected::there(&desk, &key).await?;
        }
        Ok::<_, Failure>(page)
    };
    let page = read.await;
    desk.close().await;
    show(&page?, output)?;
    Ok(ExitCode::Ok)
}

async fn read(
    desk: &ConnectedSession,
    key: &SessionKey,
    args: &HistoryArgs,
    output: &Output,
) -> Result<HistoryPage, HistoryError> {
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
async fn all(desk: &ConnectedSession, key: &SessionKey) -> Result<HistoryPage, HistoryError> {
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
            output.value(&as_json(row))?;
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
        output.line(&lines(row, output).join("\n"))?;
    }
    if let Some(run) = &page.running {
        let text = escaped(run.text.as_deref().unwrap_or_default(), RUNNING_LIMIT);
        output.line(&format!("{DIM}(answering: {text}){DIM:#}"))?;
    }
    if page.rows.is_empty() {
        output.note("the gateway shows no messages");
    }
    Ok(())
}

/// Longest name of a role or a tool shown, in characters.
const NAME_LIMIT: usize = 40;
/// Longest result of a tool shown, in characters; `--json` shows all of it.
const RESULT_LIMIT: usize = 160;
/// Longest reason of a failure shown, in characters.
const REASON_LIMIT: usize = 500;

/// A row as lines: role and time, then the text.
pub(crate) fn lines(row: &ChatMessage, output: &Output) -> Vec<String> {
    let role = escaped(row.role.as_deref().unwrap_or("?"), NAME_LIMIT);
    let mut head = format!("{HEAD}{role}{HEAD:#}");
    if let Some(at) = row.timestamp.and_then(|at| output.date_and_time(at)) {
        head = format!("{head} {DIM}{at}{DIM:#}");
    }
    let mut lines = vec![head];
    let text = row.text().unwrap_or_default();
    if is_result(row) {
        lines.push(format!("{DIM}  {}{DIM:#}", escaped(text.trim(), RESULT_LIMIT)));
        return lines;
    }
    lines.extend(harmless(text.trim_end()).lines().map(|line| format!("  {line}")));
    lines.extend(tools(row).map(|tool| format!("{DIM}  [{tool}]{DIM:#}")));
    if row.is_failure() {
        let why = row.error_message.as_deref().unwrap_or("the agent could not answer");
        lines.push(format!("  {BAD}failed:{BAD:#} {}", escaped(why, REASON_LIMIT)));
    }
    lines
}

/// A row for programs: the fields that all releases have, and the row itself.
pub(crate) fn as_json(row: &ChatMessage) -> Value {
    json!({
        "type": "message",
        "role": row.role,
        "text": row.text(),
        "atMs": row.timestamp,
        "id": row.meta.as_ref().and_then(|meta| meta.id.as_deref()),
        "runId": row.run_id(),
        "failed": row.is_failure(),
        "row": row,
    })
}

fn is_result(row: &ChatMessage) -> bool {
    row.role.as_deref().is_some_and(|role| role.starts_with("tool"))
}

/// The tools that a row calls.
fn tools(row: &ChatMessage) -> impl Iterator<Item = String> {
    let parts = row.content.as_ref().and_then(Value::as_array);
    let calls = parts.into_iter().flatten().filter(|part| {
        let kind = part.get("type").and_then(Value::as_str);
        kind.is_some_and(|kind| kind.to_lowercase().starts_with("tool"))
    });
    calls.map(|call| {
        let name = call.get("name").and_then(Value::as_str).unwrap_or("tool");
        format!("calls {}", escaped(name, NAME_LIMIT))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(row: Value) -> String {
        let row: ChatMessage = serde_json::from_value(row).unwrap();
        anstream::adapter::strip_str(&lines(&row, &Output::of_width(80)).join("\n")).to_string()
    }

    #[test]
    fn a_row_keeps_its_lines_and_steers_no_terminal() {
        let row = json!({"role": "assistant", "timestamp": 50_587_250, "content": [
            {"type": "text", "text": "one\n\u{1b}[2Jtwo\n"}, {"type": "toolCall", "name": "read\u{9b}"}
        ]});
        assert_eq!(
            shown(row),
            "assistant 1970-01-01 14:03:07\n  one\n  \\u{1b}[2Jtwo\n  [calls read\\u{9b}]"
        );
    }

    #[test]
    fn results_of_tools_are_one_line_and_failures_are_named() {
        let result = json!({"role": "toolResult", "content": "a\nb"});
        assert_eq!(shown(result), "toolResult\n  a\\nb");
        let failed = json!({"role": "assistant", "content": [], "stopReason": "error", "errorMessage": "HTTP 400"});
        assert_eq!(shown(failed), "assistant\n  failed: HTTP 400");
    }
}
