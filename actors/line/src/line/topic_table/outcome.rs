//! The outcome of requests: markers for subscribers, words for the log.

use windlass_protocol::CallError;

use super::asking::Ask;
use crate::routing::{Marker, Topic};

/// The outcome of an answer.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// To be told to subscribers, here and now.
    pub(super) markers: Vec<Marker>,
    /// To be logged.
    pub(super) trouble: Option<Trouble>,
}

/// A question that failed.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) topic: Topic,
    pub(super) why: Box<str>,
    pub(super) refused: bool,
    /// It was logged before.
    pub(super) known: bool,
}

impl Trouble {
    pub(super) fn new(ask: &Ask, error: &CallError, refused: bool, known: bool) -> Self {
        Self {
            topic: ask.topic.clone(),
            why: words(error),
            refused,
            known,
        }
    }
}

/// The error, for people: the gateway's words, where there are any.
pub(super) fn words(error: &CallError) -> Box<str> {
    match error {
        CallError::Rejected(rejected) => rejected.error.to_string(),
        other => other.to_string(),
    }
    .into()
}
