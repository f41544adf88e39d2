//! Wakes, as chat events and histories show them.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use windlass::{
    protocol::{ChatEvent, ChatState},
    store::Agent,
};

use super::{Bench, Item, Stream};
use crate::scenario::Failure;

/// The text before the reference of a message.
const MARK: &str = "ref: ";

/// Waits until each of these agents has answered in its session, as the gateway's chat events tell.
pub(in super::super) async fn answers_of(
    stream: &mut Stream,
    agents: &[Agent],
    within: Duration,
) -> Result<(), Failure> {
    let mut silent: BTreeSet<String> = agents.iter().map(|agent| agent.session_key.to_string()).collect();
    while !silent.is_empty() {
        let what = format!("an answer in {silent:?}");
        let answered = stream.find(&what, within, |item| answered(item, &silent)).await??;
        silent.remove(&answered);
    }
    Ok(())
}

/// The session that an event ends a run of, if it is one of these.
fn answered(item: Item, sessions: &BTreeSet<String>) -> Option<Result<String, Failure>> {
    let Item::Event(name, payload) = item else { return None };
    let event: ChatEvent = (name == "chat").then(|| serde_json::from_value(payload).ok())??;
    if !sessions.contains(&event.session_key) {
        return None;
    }
    match event.state {
        // A bare final means that the message was handed on to another run.
        ChatState::Final => event.message.is_some().then_some(Ok(event.session_key)),
        ChatState::Error => {
            let why = event.error_message.unwrap_or_default();
            Some(Err(Failure::new(format!("{} failed: {why}", event.session_key))))
        }
        _ => None,
    }
}

/// The references of the messages in an agent's session, one for each message that has one.
pub(in super::super) async fn references(bench: &Bench, agent: &Agent) -> Result<Vec<String>, Failure> {
    let params = json!({"sessionKey": agent.session_key, "limit": 200});
    let history = bench.ask("chat.history", params).await?;
    let rows = history["messages"].as_array().cloned().unwrap_or_default();
    let said = rows.iter().filter(|row| row["role"] == "user").map(text);
    Ok(said.filter_map(|text| reference(&text)).collect())
}

/// The text of a row: plain, or in parts.
pub(super) fn text(row: &Value) -> String {
    match &row["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

/// The reference at a message's end. Up to 2026.2 a history has all of a message in one line.
pub(in super::super) fn reference(text: &str) -> Option<String> {
    let (_, end) = text.rsplit_once(MARK)?;
    end.split_whitespace().next().map(str::to_owned)
}
