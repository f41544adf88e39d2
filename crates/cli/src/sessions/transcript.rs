//! Rows of a history, for people and for programs.

use serde_json::{Value, json};
use windlass_protocol::request::ChatMessage;

use crate::output::{BAD, DIM, HEAD, Output};
use crate::text::{escaped, harmless};

/// Longest name of a role or a tool shown, in characters.
const NAME_LIMIT: usize = 40;
/// Longest result of a tool shown, in characters; `--json` shows all of it.
const RESULT_LIMIT: usize = 160;
/// Longest reason of a failure shown, in characters.
const REASON_LIMIT: usize = 500;

/// A row as lines: who and when, then what.
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

/// A row for programs: what is the same on all releases, and the row itself.
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
