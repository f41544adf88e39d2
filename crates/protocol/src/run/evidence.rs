//! The evidence of a history for one logical send.

use serde_json::Value;

use crate::releases::runs as rules;
use crate::request::{ChatHistoryReply, ChatMessage};

/// A user's row may be stamped so long before its run begins, in ms: the time from the request to the run, up to 25 s for a
/// first turn.
const ROW_BEFORE_RUN: u64 = 30_000;

/// The message to look for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SoughtMessage<'a> {
    /// The idempotency key.
    pub(crate) key: &'a str,
    /// Its text.
    pub(crate) text: &'a str,
    /// Older rows are not meant.
    pub(crate) since_ms: Option<u64>,
    /// Our run began then, by the gateway's clock.
    pub(crate) begun_ms: Option<u64>,
    /// Our row stood in an earlier history with this stamp.
    pub(crate) noted_ms: Option<u64>,
    /// The gateway was restarted since it took our message.
    pub(crate) restarted: bool,
    /// Whether a row with our text may carry another key: the run was handed on.
    pub(crate) handed_on: bool,
    /// Whether rows of users carry keys.
    pub(crate) keys: Option<bool>,
    /// The run that goes on with it, if there is one.
    pub(crate) adopted: Option<&'a str>,
    /// Foreign runs.
    pub(crate) foreign: &'a [String],
}

/// The evidence that was found.
#[expect(clippy::struct_excessive_bools, reason = "independent facts of one history")]
#[derive(Debug, Default, PartialEq)]
pub(crate) struct HistoryEvidence {
    /// Our row is there, or the notice that took its place.
    pub(crate) row: bool,
    /// No user said anything since.
    pub(crate) is_last: bool,
    /// The stamp of our row, or of the notice in its place; 0 where it has none.
    pub(crate) row_ms: Option<u64>,
    /// The run that our row joined.
    pub(crate) steered_to: Option<String>,
    /// The run that goes on with our turn after a restart.
    pub(crate) resumed_as: Option<String>,
    /// How the turn ended, if it did.
    pub(crate) outcome: Option<TurnOutcome>,
    /// The run that goes on in the session, and its text so far.
    pub(crate) running: Option<(String, String)>,
    /// The gateway has our message and has not begun with it.
    pub(crate) queued: bool,
    /// The gateway has our message and will not begin with it.
    pub(crate) cancelled: bool,
}

/// How a turn ended.
#[derive(Debug, PartialEq)]
pub(crate) enum TurnOutcome {
    Final {
        text: String,
        run_id: Option<String>,
    },
    Failed {
        message: String,
        run_id: Option<String>,
    },
    Aborted {
        reason: String,
        text: Option<String>,
        run_id: Option<String>,
    },
}

impl HistoryEvidence {
    pub(crate) fn read(reply: &ChatHistoryReply, look: &SoughtMessage<'_>) -> Self {
        let mut standing = Self {
            running: running(reply),
            ..Self::default()
        };
        standing.read_pending(reply, look);
        let rows = &reply.messages;
        let turn = if let Some(at) = our_row(rows, look) {
            standing.row_ms = Some(rows[at].timestamp.unwrap_or_default());
            standing.steered_to = rules::steered_to(&rows[at]).map(str::to_owned);
            standing.is_last = !rows[at + 1..].iter().any(is_user);
            turn_of(&rows[at + 1..], look)
        } else if let Some(at) = replacement(rows, look) {
            standing.row_ms = look.noted_ms.or(Some(rows[at].timestamp.unwrap_or_default()));
            turn_of(&rows[at..], look)
        } else {
            return standing;
        };
        standing.row = true;
        standing.resumed_as = turn
            .iter()
            .rfind(|row| is_user(row))
            .and_then(|row| rules::row_key(row))
            .map(str::to_owned);
        standing.outcome = outcome(&turn);
        if standing.turn_goes_on(look, &turn) {
            standing.outcome = None;
        }
        standing
    }

    /// A run that still goes on has no end, even if it has written rows.
    fn turn_goes_on(&self, look: &SoughtMessage<'_>, turn: &[&ChatMessage]) -> bool {
        let Some((running, _)) = &self.running else {
            return false;
        };
        let wrote = turn.iter().rev().find_map(|row| row.meta.as_ref()?.run_id.as_deref());
        running == look.key
            || look.adopted == Some(running)
            || self.resumed_as.as_ref() == Some(running)
            || wrote == Some(running)
    }

    fn read_pending(&mut self, reply: &ChatHistoryReply, look: &SoughtMessage<'_>) {
        let items = reply
            .pending_inputs
            .as_ref()
            .and_then(|inputs| inputs.get("items")?.as_array());
        for item in items.into_iter().flatten() {
            if item.get("runId").and_then(Value::as_str) != Some(look.key) {
                continue;
            }
            let cancelled = item.get("state").and_then(Value::as_str) == Some("cancelled");
            self.cancelled |= cancelled;
            self.queued |= !cancelled;
        }
    }
}

fn running(reply: &ChatHistoryReply) -> Option<(String, String)> {
    let run = reply.in_flight_run.as_ref()?;
    Some((run.run_id.clone()?, run.text.clone().unwrap_or_default()))
}

fn is_user(row: &ChatMessage) -> bool {
    row.role.as_deref() == Some("user")
}

/// By the key where rows have keys, else by the text; a text that may be an older one's is not taken.
fn our_row(rows: &[ChatMessage], look: &SoughtMessage<'_>) -> Option<usize> {
    let by_key = rows.iter().rposition(|row| has_our_key(row, look));
    if by_key.is_some() || (look.keys == Some(true) && !look.handed_on) {
        return by_key;
    }
    let mut fits = (0..rows.len()).filter(|at| fits_by_text(&rows[*at], look) && !is_foreign(&rows[*at], look));
    if look.since_ms.is_some() {
        return fits.next();
    }
    let last = fits.next_back()?;
    // What ran is what was said last, unless it is not known to have run. A run that was taken for somebody else's may have been
    // ours after all: with it there, an older row is not known to be ours.
    let only = rows.iter().filter(|row| fits_by_text(row, look)).count() == 1;
    (look.begun_ms.is_some() || only).then_some(last)
}

fn has_our_key(row: &ChatMessage, look: &SoughtMessage<'_>) -> bool {
    if !is_user(row) {
        return false;
    }
    let key = rules::row_key(row);
    let handed_on = || look.adopted.is_some() && key == look.adopted && fits_by_text(row, look);
    key == Some(look.key) || handed_on()
}

/// The notice that took the place of our row when the gateway went on with our turn after a restart: the first one since our row
/// stood there, or, where it was never seen, the only one that has our text.
fn replacement(rows: &[ChatMessage], look: &SoughtMessage<'_>) -> Option<usize> {
    let is_notice = |row: &ChatMessage| is_user(row) && rules::is_interruption_notice(row);
    if let Some(since) = look.noted_ms {
        return rows
            .iter()
            .position(|row| is_notice(row) && row.timestamp.is_none_or(|at| at >= since));
    }
    let old = |row: &ChatMessage| matches!((row.timestamp, look.since_ms), (Some(at), Some(since)) if at < since);
    let has_text = |row: &ChatMessage| row.text().is_some_and(|said| notice_has(&said, look.text.trim()));
    let mut fits = (0..rows.len()).filter(|at| {
        let row = &rows[*at];
        is_notice(row) && !old(row) && !is_foreign(row, look) && has_text(row)
    });
    let first = fits.next().filter(|_| look.restarted)?;
    fits.next().is_none().then_some(first)
}

/// Whether a notice goes with this text: releases put it before the notice, or behind it.
fn notice_has(notice: &str, text: &str) -> bool {
    let before = notice.rsplit_once("[System]").map_or("", |(before, _)| before);
    !text.is_empty() && (before.trim_end().ends_with(text) || notice.trim_end().ends_with(text))
}

fn is_foreign(row: &ChatMessage, look: &SoughtMessage<'_>) -> bool {
    rules::row_key(row).is_some_and(|key| look.foreign.iter().any(|id| id == key))
}

fn fits_by_text(row: &ChatMessage, look: &SoughtMessage<'_>) -> bool {
    let begun = look.begun_ms.map(|at| at.saturating_sub(ROW_BEFORE_RUN));
    let since = look.since_ms.max(begun);
    let old = matches!((row.timestamp, since), (Some(at), Some(since)) if at < since);
    if !is_user(row) || old || rules::is_interruption_notice(row) {
        return false;
    }
    let (said, ours) = (row.text().unwrap_or_default(), look.text.trim());
    // What was put back may stand under a header of the gateway's.
    rules::is_text_of(&said, ours) || (look.handed_on && !ours.is_empty() && said.trim_end().ends_with(ours))
}

/// The rows after ours that belong to its turn: up to the next row of a user that did not join this turn.
fn turn_of<'a>(rows: &'a [ChatMessage], look: &SoughtMessage<'_>) -> Vec<&'a ChatMessage> {
    let joined =
        |row: &ChatMessage| rules::steered_to(row).is_some_and(|run| run == look.key || look.adopted == Some(run));
    let mut turn = Vec::new();
    for row in rows {
        if is_user(row) {
            if rules::is_interruption_notice(row) {
                turn.push(row);
                continue;
            }
            if joined(row) {
                continue;
            }
            break;
        }
        turn.push(row);
    }
    turn
}

/// The last row decides: a turn that ends with a tool's row or a call of one goes on.
fn outcome(turn: &[&ChatMessage]) -> Option<TurnOutcome> {
    let last = turn.iter().rev().find(|row| row.role.as_deref() != Some("system"))?;
    if last.role.as_deref() != Some("assistant") || last.stop_reason.as_deref() == Some("toolUse") {
        return None;
    }
    let run_id = last.meta.as_ref().and_then(|meta| meta.run_id.clone());
    if let Some(reason) = rules::abort_in_row(last) {
        let text = last.text();
        return Some(TurnOutcome::Aborted { reason, text, run_id });
    }
    if last.is_failure() {
        let message = last.error_message.clone().or_else(|| last.text()).unwrap_or_default();
        return Some(TurnOutcome::Failed { message, run_id });
    }
    let text = said(turn);
    Some(TurnOutcome::Final { text, run_id })
}

/// All steps of the last attempt. 2026.9.6 puts an empty line between two steps, and its finals and those of 2026.3.13 end
/// without the blank lines that rows end in.
fn said(turn: &[&ChatMessage]) -> String {
    let begun = turn.iter().rposition(|row| is_user(row) || row.is_failure());
    let steps = turn.iter().skip(begun.map_or(0, |at| at + 1));
    let texts: Vec<String> = steps
        .filter(|row| row.role.as_deref() == Some("assistant"))
        .filter_map(|row| row.text())
        .filter(|text| !text.trim().is_empty())
        .map(|text| text.trim_end().to_owned())
        .collect();
    texts.join("\n\n")
}
