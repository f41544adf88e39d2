//! How much happened in a run, or in many.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Counts. Runs add up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Calls by the way they ended.
    pub calls: BTreeMap<String, u64>,
    /// Messages by the way they ended.
    pub messages: BTreeMap<String, u64>,
    /// Connections that gateways let in.
    pub connections: u64,
}

impl Tally {
    pub(crate) fn call(&mut self, word: &str) {
        *self.calls.entry(word.to_owned()).or_default() += 1;
    }

    pub(crate) fn message(&mut self, word: &str) {
        *self.messages.entry(word.to_owned()).or_default() += 1;
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        for (word, count) in &other.calls {
            *self.calls.entry(word.clone()).or_default() += count;
        }
        for (word, count) in &other.messages {
            *self.messages.entry(word.clone()).or_default() += count;
        }
        self.connections += other.connections;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "calls: {}", words(&self.calls))?;
        writeln!(f, "messages: {}", words(&self.messages))?;
        writeln!(f, "connections: {}", self.connections)
    }
}

fn words(counts: &BTreeMap<String, u64>) -> String {
    let words: Vec<_> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    if words.is_empty() {
        "none".into()
    } else {
        words.join(", ")
    }
}
