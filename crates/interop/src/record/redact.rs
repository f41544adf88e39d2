//! Takes secrets and the recording machine out of frames.
//!
//! Every replaced text gets a stand-in of the same shape: a hex token stays a hex token of the
//! same length, a path stays a path. The same text gets the same stand-in everywhere, so frames
//! still refer to each other.

use std::{collections::BTreeMap, net::Ipv4Addr};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The keys of texts that are secrets, or take the place of secrets.
const SECRET_KEYS: [&str; 6] = [
    "token",
    "deviceToken",
    "bootstrapToken",
    "recoveryScope",
    "password",
    "apiKey",
];
/// Shorter texts under a secret key are words like `token`, not secrets.
const SHORTEST_SECRET: usize = 16;
/// The text that the releases themselves put in the place of a secret.
const REDACTED_ALREADY: &str = "__OPENCLAW_REDACTED__";
/// The address that recorded connections give themselves; it stays.
pub(super) const REMOTE_ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
/// Stands for every other address but loopback.
const SOME_ADDRESS: &str = "192.0.2.10";

/// A text of the recording machine, and its replacement.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) real: String,
    pub(super) stand_in: &'static str,
    /// Replaced only where it stands as a word of its own: host names are short.
    pub(super) whole_word: bool,
}

/// Replaces secrets and places.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    secrets: BTreeMap<String, String>,
    places: Vec<Place>,
}

impl Redactor {
    /// A redactor for these places; longer ones are replaced before the shorter ones in them.
    pub(super) fn new(mut places: Vec<Place>) -> Self {
        places.retain(|place| !place.real.is_empty());
        places.sort_by_key(|place| std::cmp::Reverse(place.real.len()));
        Self {
            secrets: BTreeMap::new(),
            places,
        }
    }

    /// Learns one secret.
    pub(super) fn learn_secret(&mut self, secret: &str) {
        let next = self.secrets.len();
        self.secrets
            .entry(secret.to_owned())
            .or_insert_with(|| same_shape(secret, next));
    }

    /// Learns the secrets that stand under the keys of secrets in `value`.
    pub(super) fn learn(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (key, field) in fields {
                    match field {
                        Value::String(text) if is_secret(key, text) => self.learn_secret(text),
                        other => self.learn(other),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            _ => {}
        }
    }

    /// Replaces in all texts and keys of `value`.
    pub(super) fn redact(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.redact_text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact(item)),
            Value::Object(fields) => {
                let old = std::mem::take(fields);
                for (key, mut field) in old {
                    self.redact(&mut field);
                    fields.insert(self.redact_text(&key), field);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A forbidden text in the result, by a name that does not reveal the text.
    pub(super) fn leaks(&self, text: &str) -> Option<String> {
        if let Some(at) = self.secrets.keys().position(|secret| text.contains(secret)) {
            return Some(format!("secret number {}", at + 1));
        }
        self.places
            .iter()
            .find(|place| replace(text, place).is_some())
            .map(|place| format!("what `{}` stands for", place.stand_in))
    }

    fn redact_text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (secret, stand_in) in &self.secrets {
            if text.contains(secret) {
                text = text.replace(secret, stand_in);
            }
        }
        for place in &self.places {
            if let Some(replaced) = replace(&text, place) {
                text = replaced;
            }
        }
        without_addresses(&text)
    }
}

fn is_secret(key: &str, text: &str) -> bool {
    SECRET_KEYS.contains(&key) && text.len() >= SHORTEST_SECRET && text != REDACTED_ALREADY
}

/// `text` with the place replaced, or `None` when it does not occur.
fn replace(text: &str, place: &Place) -> Option<String> {
    let mut replaced = String::new();
    let mut from = 0;
    for (at, real) in text.match_indices(&place.real) {
        let after = at + real.len();
        if place.whole_word && !stands_alone(text, at, after) {
            continue;
        }
        replaced.push_str(&text[from..at]);
        replaced.push_str(place.stand_in);
        from = after;
    }
    (from > 0).then(|| replaced + &text[from..])
}

fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let before = text[..start].chars().next_back();
    let after = text[end..].chars().next();
    !before.is_some_and(in_word) && !after.is_some_and(in_word)
}

/// Replaces addresses of real networks.
fn without_addresses(text: &str) -> String {
    let in_address = |c: char| c.is_ascii_digit() || c == '.';
    if !text.contains('.') {
        return text.to_owned();
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(in_address) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c| !in_address(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        kept.push_str(before);
        let real = word.parse().is_ok_and(is_of_a_real_network);
        kept.push_str(if real { SOME_ADDRESS } else { word });
        rest = after;
    }
    kept + rest
}

fn is_of_a_real_network(address: Ipv4Addr) -> bool {
    !address.is_loopback() && !address.is_unspecified() && address != REMOTE_ADDRESS
}

/// A text of the same length in which every letter and digit is another of its kind.
fn same_shape(secret: &str, number: usize) -> String {
    let hex = secret.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut stream = Stream::new(number);
    let mut pick = |from: &[u8]| char::from(from[usize::from(stream.next()) % from.len()]);
    secret
        .chars()
        .map(|c| match c {
            _ if hex => pick(b"0123456789abcdef"),
            '0'..='9' => pick(b"0123456789"),
            'a'..='z' => pick(b"abcdefghijklmnopqrstuvwxyz"),
            'A'..='Z' => pick(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
            other => other,
        })
        .collect()
}

/// Endless bytes that depend on nothing but a number, so that recordings can be compared.
struct Stream {
    block: [u8; 32],
    used: usize,
}

impl Stream {
    fn new(number: usize) -> Self {
        let name = format!("windlass fixture secret {number}");
        Self {
            block: Sha256::digest(name).into(),
            used: 0,
        }
    }

    fn next(&mut self) -> u8 {
        if self.used == self.block.len() {
            self.block = Sha256::digest(self.block).into();
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }
}

#[cfg(test)]
mod tests;
