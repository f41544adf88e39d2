//! One chat turn as the events of a line show it.

use std::time::Duration;

use serde_json::{Value, json};
use windlass::protocol::{ChatEvent, ChatState};

use super::{Bench, Item, Stream};
use crate::scenario::{Failure, check_eq};

/// The observed events of a run.
#[derive(Debug, Default)]
pub(in super::super) struct Turn {
    /// The texts of the deltas, each the whole text so far.
    pub(in super::super) deltas: Vec<String>,
    /// The text of the final event.
    pub(in super::super) text: String,
}

/// Sends `message` on a session of its own and follows the run to its final event.
///
/// A session is used once: several releases queue a message again that follows a final at once
/// (2026.4.15, 2026.5.12, 2026.7.1).
pub(in super::super) async fn run_turn(
    bench: &Bench,
    stream: &mut Stream,
    session: &str,
    message: &str,
    within: Duration,
) -> Result<Turn, Failure> {
    let params = json!({"sessionKey": session, "message": message});
    let started = bench.ask("chat.send", params).await?;
    let run = started["runId"].as_str().unwrap_or_default().to_owned();
    turn_of(stream, &run, within).await
}

/// Follows the run `run` to its final event.
pub(in super::super) async fn turn_of(stream: &mut Stream, run: &str, within: Duration) -> Result<Turn, Failure> {
    let mut turn = Turn::default();
    let what = format!("the final event of run {run}");
    let last = stream
        .find(&what, within, |item| {
            let event = chat_of(item).filter(|event| event.run_id == run)?;
            if event.is_terminal() {
                return Some(event);
            }
            if event.state == ChatState::Delta {
                turn.deltas.extend(event.text());
            }
            None
        })
        .await?;
    let why = last.error_message.clone();
    check_eq(&format!("end of the run ({why:?})"), &last.state, &ChatState::Final)?;
    turn.text = last.text().unwrap_or_default();
    Ok(turn)
}

fn chat_of(item: Item) -> Option<ChatEvent> {
    match item {
        Item::Event(name, payload) if name == "chat" => read(payload),
        Item::Event(..) | Item::Marker(_) => None,
    }
}

fn read(payload: Value) -> Option<ChatEvent> {
    serde_json::from_value(payload).ok()
}
