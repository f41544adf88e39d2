//! The items that a subscriber receives.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use windlass_protocol::connection::Gap;
use windlass_protocol::{EventKeys, Generation, RawJson};

use super::Topic;

/// One event of a gateway, shared by all its subscribers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name, for example `chat`.
    pub name: Arc<str>,
    /// Its payload. It holds on to nothing else where it is at most 16 KiB long, and to at most four times its length where it
    /// is longer.
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

    /// The session, run and agent that it is about, as far as it names them: one look at the payload.
    pub fn keys(&self) -> EventKeys<'_> {
        EventKeys::parse(self.payload.as_str())
    }

    /// Its weight against a queue's bound, in bytes: the memory that it keeps, but for the slack of a large frame. The payload
    /// is shared by all queues that it waits in, and counted in each.
    pub(super) fn weight(&self) -> usize {
        size_of::<Arc<Self>>() + size_of::<Self>() + self.name.len() + self.payload.as_str().len()
    }
}

/// A report about the stream itself, in its place between the events.
///
/// A stream is whole from a [`Reconnected`](Self::Reconnected) on until the next `Gap`, `Unreadable`, `Lagged`, `Disconnected`
/// or `TooSlow`. The events of a topic are whole from its `Resynced` on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Marker {
    /// The gateway dropped events before this point (the numbers of generation 4 show it), or the next event is out of
    /// its order. Subscribed topics are loaded again: [`Resynced`](Self::Resynced) follows.
    Gap(Gap),
    /// A message came that is no frame, and may have been an event. Subscribed topics are loaded again.
    Unreadable,
    /// This subscriber was too slow: so many events and markers were dropped at this point. Nothing is loaded again by
    /// itself, since it is this subscriber's loss alone.
    Lagged(u64),
    /// The line is down from here on; events of the gateway are lost meanwhile.
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
    /// The topic is subscribed, and this is its state. It stands exactly where the gateway's answer was read: an event that
    /// comes before it is in the snapshot or older than it; an event that comes after it is to be applied to it.
    Resynced {
        /// The connection that it was loaded over.
        generation: Generation,
        /// The topic. A [`Topic::Everything`] says that every session of the list is subscribed from here on.
        what: Topic,
        /// The answer of `sessions.list` or `chat.history`, for subscribers that asked for it by
        /// [`EventFilter::snapshots`](super::EventFilter::snapshots). `None` for [`Topic::Everything`]: its state comes as
        /// [`Topic::Sessions`], and nothing where the gateway has a subscription and refuses the state.
        snapshot: Option<RawJson>,
        /// Whether events were dropped while it was loaded, or it was asked for once more: it may miss something already, and
        /// is loaded again. Another one follows.
        again: bool,
    },
    /// The gateway refuses the topic: it is not asked again before the next connection, unless the topic is
    /// subscribed once more.
    Unsynced {
        /// The connection that it was asked for over.
        generation: Generation,
        /// The topic.
        what: Topic,
        /// The gateway's answer, for people.
        why: Box<str>,
    },
    /// This subscriber was too slow, and wanted to be disconnected then: the last item of its stream.
    TooSlow,
}

impl Marker {
    /// One lower-case word, as it stands in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Gap(_) => "gap",
            Self::Unreadable => "unreadable",
            Self::Lagged(_) => "lagged",
            Self::Disconnected { .. } => "disconnected",
            Self::Reconnected { .. } => "reconnected",
            Self::Resynced { .. } => "resynced",
            Self::Unsynced { .. } => "unsynced",
            Self::TooSlow => "tooSlow",
        }
    }

    /// The connection that the marker itself names, where it names one.
    pub const fn generation(&self) -> Option<Generation> {
        match self {
            Self::Disconnected { generation }
            | Self::Reconnected { generation, .. }
            | Self::Resynced { generation, .. }
            | Self::Unsynced { generation, .. } => Some(*generation),
            Self::Gap(_) | Self::Unreadable | Self::Lagged(_) | Self::TooSlow => None,
        }
    }

    /// Its weight against a queue's bound, in bytes: itself and its snapshot.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Resynced {
                    snapshot: Some(snapshot),
                    ..
                } => snapshot.as_str().len(),
                _ => 0,
            }
    }
}

/// An event, or a word about the stream.
#[derive(Debug, Clone)]
pub enum LineEvent {
    /// An event.
    Event(Arc<Event>),
    /// A word about the stream. In a box, so that events, which are by far the most, travel in registers.
    Marker(Box<Marker>),
}

impl LineEvent {
    /// The word about the stream, where it is one.
    pub fn marker(&self) -> Option<&Marker> {
        match self {
            Self::Event(_) => None,
            Self::Marker(marker) => Some(marker),
        }
    }
}
