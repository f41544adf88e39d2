//! What a subscriber receives.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use windlass_protocol::connection::Gap;
use windlass_protocol::{Generation, RawJson};

/// One event of a gateway, shared by all its subscribers.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its name, for example `chat`.
    pub name: Box<str>,
    /// What it carries.
    pub payload: RawJson,
    /// Its number, where it has one.
    pub seq: Option<u64>,
    /// The connection that it came over.
    pub generation: Generation,
}

impl Event {
    /// Reads the payload as a type, for example [`ChatEvent`](windlass_protocol::ChatEvent).
    ///
    /// # Errors
    /// When the payload does not have that shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        self.payload.decode()
    }
}

/// What happened to the stream itself, in its place between the events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Marker {
    /// The gateway dropped events before this point (generation 4, whose numbering shows it): load the state again.
    Gap(Gap),
    /// This subscriber was too slow: so many events and markers were dropped before this point.
    Lagged(u64),
    /// The line is down from here on; what the gateway sends meanwhile is lost.
    Disconnected {
        /// The connection that ended.
        generation: Generation,
    },
    /// The line is up from here on.
    Reconnected {
        /// The new connection; 1 is the first of a line's life.
        generation: Generation,
        /// Whether the gateway was restarted since the connection before. Nothing at the first connection, and where
        /// the gateway does not tell (only from 2026.8.2 on does it tell that it was not).
        gateway_restarted: Option<bool>,
    },
}

/// An event, or a word about the stream.
#[derive(Debug, Clone)]
pub enum LineEvent {
    /// An event.
    Event(Arc<Event>),
    /// A word about the stream.
    Marker(Marker),
}
