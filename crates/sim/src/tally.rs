//! How much happened in a run, or in many.

use std::collections::BTreeMap;

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
