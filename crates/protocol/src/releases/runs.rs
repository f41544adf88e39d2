//! Runs: events, rows of the history and answers that mean something else than they say, and bounds.

use std::time::Duration;

use serde_json::Value;

use crate::ChatEvent;
use crate::request::{AgentWaitReply, AgentWaitStatus, ChatMessage, ChatSendRun, ChatSendStatus};

/// Most text kept of one run, in bytes: more than any answer of ordinary use, and a bound for a model gone wild. Text past
/// it is cut, and the answer says so.
pub const TEXT_LIMIT: usize = 8 * 1024 * 1024;

/// Rows of history that are looked at: the default of both generations, many turns more than an outage hides.
pub const HISTORY_ROWS: u32 = 200;

/// After a lifecycle error a retry of the same run starts within 2, 4 or 8 s (2026.4.15 and 2026.5.12); when none did for so
/// long, the run has failed, and no other event says so. An error in the history counts after the same time.
pub const RETRY_WINDOW: Duration = Duration::from_secs(15);

/// How soon after a bare final the run that goes on with the text begins: 0.05 to 0.2 s seen, 25 s for a first turn.
pub const RUN_ADOPTED_WITHIN: Duration = Duration::from_secs(30);

/// How long a message that joined another run (2026.9.6) may look as if it were only put back: those begin again within
/// 0.2 s.
pub const JOIN_GRACE: Duration = Duration::from_secs(2);

/// The pause before a message that was taken for a repetition is sent again: 2026.6.11 runs the same text 2 s after the first run.
pub const REPETITION_PAUSE: Duration = Duration::from_millis(2100);

/// How often a text may be taken for a repetition before it is given up.
pub const REPETITIONS: u32 = 5;

/// Whether a text is the token that models are told to answer in place of silence. Gateways keep it from the events; on some the
/// history shows it.
pub fn is_silence(text: &str) -> bool {
    /// All nine releases of 2026.
    const TOKEN: &str = "NO_REPLY";
    let text = text.trim();
    text.is_empty() || text.eq_ignore_ascii_case(TOKEN)
}

/// Whether the lifecycle error of a run means that its model said nothing, twice (2026.9.6 asks it again, in words of its own).
/// The gateway then reports `aborted` without a stop of the run, 0.05 s before it reports the error.
pub fn is_without_answer(lifecycle: &Value) -> bool {
    let disposition = lifecycle.pointer("/terminalReply/disposition");
    matches!(disposition.and_then(Value::as_str), Some("silent" | "empty"))
}

/// Whether a bare final says that the answer comes with another run: a second send joins the first run (2026.8.2, 2026.9.6) or
/// waits for it (2026.1.30, 2026.3.13, 2026.4.15, 2026.5.12, 2026.7.1), and a send right after a final is put back (2026.4.15,
/// 2026.5.12, 2026.7.1).
///
/// Such a run never began: its lifecycle has no `start`, and its final no `stopReason`. The bare final of a run that did begin, or
/// has one (from 2026.6 on), is its own: its model said nothing (2026.1.30 to 2026.7.1), or its model's call failed (2026.1.30),
/// which only the history tells apart.
pub const fn is_handed_on(bare_final: &ChatEvent, began: bool) -> bool {
    !began && bare_final.stop_reason.is_none()
}

/// The run that a user's row joined (2026.8.2, 2026.9.6; on 2026.9.6 some 40 ms after the bare final).
pub fn steered_to(row: &ChatMessage) -> Option<&str> {
    row.meta.as_ref()?.extra.get("steerTargetRunId")?.as_str()
}

/// The run that has a user's row as its input (2026.6 on).
pub fn row_key(row: &ChatMessage) -> Option<&str> {
    row.idempotency_key.as_deref()?.strip_suffix(":user")
}

/// Why a row's run was stopped. On 2026.9.6 an aborted run leaves an assistant's row with `stopReason: "stop"` like any other,
/// and only this tells.
pub fn abort_in_row(row: &ChatMessage) -> Option<String> {
    let abort = row.extra.get("openclawAbort")?;
    let aborted = abort.get("aborted").and_then(Value::as_bool) == Some(true);
    aborted.then(|| {
        abort
            .get("origin")
            .and_then(Value::as_str)
            .unwrap_or("aborted")
            .to_owned()
    })
}

/// Whether a user's row is the gateway's own, before it goes on with a turn that a restart interrupted. Its key is the new run's
/// (2026.8.2, 2026.9.6) or missing. 2026.9.6 puts it behind the message; releases from 2026.5.12 to 2026.8.2 put it in the
/// message's place, some of them with the message and a time stamp before the notice.
pub fn is_interruption_notice(row: &ChatMessage) -> bool {
    /// Seen on 2026.9.6.
    const TOOL: &str = "main_session_restart_recovery";
    /// For a release that does not say where the row is from.
    const TEXT: &str = "[System] Your previous turn was interrupted";
    let origin = row.extra.get("provenance").and_then(|from| from.get("sourceTool"));
    match origin.and_then(Value::as_str) {
        Some(tool) => tool == TOOL,
        None => row
            .text()
            .is_some_and(|text| text.starts_with('[') && text.contains(TEXT)),
    }
}

/// Whether a failure means that the session can't go on: one that was made before its first message breaks at the second
/// (2026.6.11; the gateway gives nothing but the text).
pub fn is_broken_session(message: &str) -> bool {
    message.contains("reply session initialization conflicted")
}

/// Whether the gateway took a new message for an older one with the same text and did not run it: it answers with the older
/// run (2026.6.11).
pub fn is_taken_for_repetition(key: &str, reply: &ChatSendRun) -> bool {
    reply.run_id != key && reply.status != ChatSendStatus::Started
}

/// Whether a final is no answer but an error: a message taken while the gateway drains is `started` and then answered so, and
/// nothing runs (2026.3.13; there is no lifecycle, no delta, and no other sign).
pub fn is_failure_told_as_answer(text: &str, anything_heard: bool) -> bool {
    !anything_heard && text.starts_with("⚠️ Agent failed before reply:")
}

/// A text so far without half a character at its end: a cut between two halves of a character leaves one.
pub fn without_half_character(text: &str) -> &str {
    text.trim_end_matches('\u{fffd}')
}

/// The verdict of `agent.wait`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitVerdict {
    /// The run is over. How is another question: up to 2026.5 failed and aborted runs say so too, and runs that handed on
    /// their text say so on all.
    Over {
        /// Its last text (generation 4).
        text: Option<String>,
    },
    /// It failed.
    Failed {
        /// Why, for people.
        message: String,
    },
    /// It was stopped.
    Aborted {
        /// `rpc`, `restart`...
        reason: Option<String>,
    },
    /// It goes on, or the gateway does not know it.
    RunningOrUnknown,
}

/// Reads the answer to `agent.wait`.
pub fn wait_verdict(reply: &AgentWaitReply) -> WaitVerdict {
    match reply.status {
        AgentWaitStatus::Ok => WaitVerdict::Over {
            text: reply.terminal_reply.as_ref().and_then(|reply| reply.text.clone()),
        },
        AgentWaitStatus::Error => {
            let message = reply.error.clone().unwrap_or_default();
            let stopped = matches!(
                reply.stop_reason.as_deref(),
                Some("rpc" | "restart" | "aborted" | "stop-command")
            );
            if stopped || message == "aborted" {
                WaitVerdict::Aborted {
                    reason: reply.stop_reason.clone(),
                }
            } else {
                WaitVerdict::Failed { message }
            }
        }
        AgentWaitStatus::Timeout | AgentWaitStatus::Other(_) => WaitVerdict::RunningOrUnknown,
    }
}

/// The mark of `chat.history` behind a text that it cut: after the first 12,000 units of UTF-16 on 2026.3.13, 8,000 on
/// 2026.8.2.
const CUT_NOTICE: &str = "\n...(truncated)...";

/// Whether a row's text is this one, or the beginning of it where the gateway cut it. The cut may have left half a character
/// (2026.3.13).
pub fn is_text_of(said: &str, text: &str) -> bool {
    let beginning = |said: &str| text.starts_with(without_half_character(said).trim_start());
    said.trim() == text || said.strip_suffix(CUT_NOTICE).is_some_and(beginning)
}

/// The text of a row without the gateway's notice that there was more of it, and whether there was.
pub fn without_cut_notice(text: &str) -> (&str, bool) {
    text.strip_suffix(CUT_NOTICE).map_or((text, false), |text| (text, true))
}
