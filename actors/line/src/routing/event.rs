//! The items that a subscriber receives: events, markers and their topics. As JSON, for logs, command lines and journals, they have stable
//! shapes: members are added, none is renamed or taken away.
//!
//! ```text
//! {"type":"event","event":"chat","seq":7,"generation":1,"payload":{…}}            seq: null where the event has none
//! {"type":"marker","marker":"gap","detail":{"expected":4,"received":6}}
//! {"type":"marker","marker":"lagged","detail":{"dropped":3}}
//! {"type":"marker","marker":"disconnected","detail":{"generation":1}}
//! {"type":"marker","marker":"reconnected","detail":{"generation":2,"gatewayRestarted":true}}      or false, or null
//! {"type":"marker","marker":"resynced","detail":{"generation":2,"what":"sessions","session":null,"again":false,"snapshot":{…}}}
//! {"type":"marker","marker":"unsynced","detail":{"generation":2,"what":"messages","session":"agent:main:main","why":"…"}}
//! {"type":"marker","marker":"tooSlow","detail":{}}
//! ```

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::ser::{SerializeMap as _, SerializeStruct as _};
use serde::{Deserialize, Serialize, Serializer};
use windlass_protocol::connection::Gap;
use windlass_protocol::{EventKeys, Generation, RawJson};

/// One event of a gateway, shared by all its subscribers.
///
/// ```
/// use windlass_line::Event;
/// use windlass_protocol::{Generation, RawJson};
///
/// let event = Event {
///     name: "chat".into(),
///     payload: RawJson::parse(r#"{"runId":"r1","sessionKey":"agent:main:main"}"#)?,
///     seq: Some(7),
///     generation: Generation::new(1),
/// };
/// assert_eq!(event.keys().session_key.as_deref(), Some("agent:main:main"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// use windlass_line::Marker;
///
/// let marker = Marker::Lagged(3);
/// assert_eq!(serde_json::to_string(&marker)?, r#"{"type":"marker","marker":"lagged","detail":{"dropped":3}}"#);
/// assert_eq!(Marker::of_detail("lagged", r#"{"dropped":3}"#), Some(marker));
/// # Ok::<_, serde_json::Error>(())
/// ```
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
        /// [`EventFilter::snapshots`](crate::routing::EventFilter::snapshots). `None` for [`Topic::Everything`]: its state comes as
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
///
/// ```no_run
/// # async fn example(mut events: windlass_line::Subscription) {
/// use windlass_line::LineEvent;
///
/// while let Some(item) = events.next().await {
///     match item {
///         LineEvent::Event(event) => println!("{}: {}", event.name, event.payload.as_str()),
///         LineEvent::Marker(marker) => println!("the stream itself: {}", marker.name()),
///     }
/// }
/// # }
/// ```
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

/// A set of events that is subscribed at a gateway, and loaded again wherever events may have been missed.
///
/// Events that a gateway sends to everybody (`chat`, `agent`, `presence`...) need no subscription; these do.
///
/// ```
/// use windlass_line::Topic;
///
/// let topic = Topic::messages("agent:main:main");
/// assert_eq!(topic.session(), Some("agent:main:main"));
/// assert_eq!(topic.to_string(), "messages of agent:main:main");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Topic {
    /// The list of sessions: `sessions.changed`, and `sessions.list` as the snapshot. Releases before 2026.4 know no such
    /// subscription: there the snapshot is all there is.
    Sessions,
    /// One session's messages, by its key: `session.message` and `session.tool`, and `chat.history` as the snapshot. Before
    /// 2026.4 as above.
    Messages(Arc<str>),
    /// [`Sessions`](Self::Sessions), and the messages of every session of the list, those that appear later included. The
    /// snapshot is that of the sessions; no history is loaded.
    Everything,
}

impl Topic {
    /// One session's messages, by its key.
    pub fn messages(key: impl Into<Arc<str>>) -> Self {
        Self::Messages(key.into())
    }

    /// One lower-case word.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Messages(_) => "messages",
            Self::Everything => "everything",
        }
    }

    /// The session that it is about, where it is about one.
    pub fn session(&self) -> Option<&str> {
        match self {
            Self::Messages(key) => Some(key),
            Self::Sessions | Self::Everything => None,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages(key) => write!(f, "messages of {key}"),
            Self::Sessions | Self::Everything => f.write_str(self.name()),
        }
    }
}

impl Serialize for LineEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Event(event) => event.serialize(serializer),
            Self::Marker(marker) => marker.serialize(serializer),
        }
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Event", 5)?;
        object.serialize_field("type", "event")?;
        object.serialize_field("event", &self.name)?;
        object.serialize_field("seq", &self.seq)?;
        object.serialize_field("generation", &self.generation)?;
        object.serialize_field("payload", &self.payload)?;
        object.end()
    }
}

impl Serialize for Marker {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Marker", 3)?;
        object.serialize_field("type", "marker")?;
        object.serialize_field("marker", self.name())?;
        object.serialize_field("detail", &MarkerDetail(self))?;
        object.end()
    }
}

struct MarkerDetail<'a>(&'a Marker);

impl Serialize for MarkerDetail<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Marker::Gap(gap) => {
                map.serialize_entry("expected", &gap.expected)?;
                map.serialize_entry("received", &gap.received)?;
            }
            Marker::Lagged(dropped) => map.serialize_entry("dropped", dropped)?,
            Marker::Disconnected { generation } => map.serialize_entry("generation", generation)?,
            Marker::Reconnected {
                generation,
                gateway_restarted,
            } => {
                map.serialize_entry("generation", generation)?;
                map.serialize_entry("gatewayRestarted", gateway_restarted)?;
            }
            Marker::Resynced {
                generation,
                what,
                snapshot,
                again,
            } => {
                map.serialize_entry("generation", generation)?;
                map.serialize_entry("what", what.name())?;
                map.serialize_entry("session", &what.session())?;
                map.serialize_entry("again", again)?;
                map.serialize_entry("snapshot", snapshot)?;
            }
            Marker::Unsynced { generation, what, why } => {
                map.serialize_entry("generation", generation)?;
                map.serialize_entry("what", what.name())?;
                map.serialize_entry("session", &what.session())?;
                map.serialize_entry("why", why)?;
            }
            Marker::Unreadable | Marker::TooSlow => {}
        }
        map.end()
    }
}

/// A marker's detail, and each word that any has in it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MarkerParts {
    expected: Option<u64>,
    received: Option<u64>,
    dropped: Option<u64>,
    generation: Option<Generation>,
    gateway_restarted: Option<bool>,
    what: Option<String>,
    session: Option<String>,
    snapshot: Option<RawJson>,
    again: Option<bool>,
    why: Option<Box<str>>,
}

impl MarkerParts {
    fn topic(&self) -> Option<Topic> {
        match (self.what.as_deref()?, &self.session) {
            ("sessions", _) => Some(Topic::Sessions),
            ("messages", Some(session)) => Some(Topic::messages(session.as_str())),
            ("everything", _) => Some(Topic::Everything),
            _ => None,
        }
    }
}

impl Marker {
    /// The value of `detail`.
    pub fn detail(&self) -> impl Serialize + '_ {
        MarkerDetail(self)
    }

    /// The marker of this name and detail; none that this version knows where they are a later version's.
    pub fn of_detail(name: &str, detail: &str) -> Option<Self> {
        let parts: MarkerParts = windlass_protocol::json::decode(detail).ok()?;
        let generation = parts.generation;
        Some(match name {
            "gap" => Self::Gap(Gap {
                expected: parts.expected?,
                received: parts.received?,
            }),
            "unreadable" => Self::Unreadable,
            "lagged" => Self::Lagged(parts.dropped?),
            "disconnected" => Self::Disconnected {
                generation: generation?,
            },
            "reconnected" => Self::Reconnected {
                generation: generation?,
                gateway_restarted: parts.gateway_restarted,
            },
            "resynced" => Self::Resynced {
                generation: generation?,
                what: parts.topic()?,
                snapshot: parts.snapshot.filter(|snapshot| snapshot.as_str() != "null"),
                again: parts.again.unwrap_or(false),
            },
            "unsynced" => Self::Unsynced {
                generation: generation?,
                what: parts.topic()?,
                why: parts.why?,
            },
            "tooSlow" => Self::TooSlow,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod json_tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn shape(item: &LineEvent) -> Value {
        serde_json::to_value(item).unwrap()
    }

    /// How a marker is written; and reads back.
    fn marker(marker: Marker) -> Value {
        let mut value = shape(&LineEvent::Marker(Box::new(marker.clone())));
        assert_eq!(value["type"], "marker");
        let detail = value["detail"].to_string();
        assert_eq!(Marker::of_detail(marker.name(), &detail), Some(marker));
        value.as_object_mut().unwrap().remove("type");
        value
    }

    #[test]
    fn an_event_keeps_its_payload_as_it_came() {
        let event = Event {
            name: "chat".into(),
            payload: RawJson::parse(r#"{"a":[1]}"#).unwrap(),
            seq: None,
            generation: Generation::new(3),
        };
        assert_eq!(
            shape(&LineEvent::Event(Arc::new(event))),
            json!({"type": "event", "event": "chat", "seq": null, "generation": 3, "payload": {"a": [1]}})
        );
    }

    #[test]
    fn every_marker_has_its_documented_shape() {
        let generation = Generation::new(2);
        let gap = Gap {
            expected: 4,
            received: 6,
        };
        assert_eq!(
            marker(Marker::Gap(gap)),
            json!({"marker": "gap", "detail": {"expected": 4, "received": 6}})
        );
        assert_eq!(
            marker(Marker::Unreadable),
            json!({"marker": "unreadable", "detail": {}})
        );
        assert_eq!(
            marker(Marker::Lagged(3)),
            json!({"marker": "lagged", "detail": {"dropped": 3}})
        );
        assert_eq!(
            marker(Marker::Disconnected { generation }),
            json!({"marker": "disconnected", "detail": {"generation": 2}})
        );
        let up = Marker::Reconnected {
            generation,
            gateway_restarted: None,
        };
        assert_eq!(
            marker(up),
            json!({"marker": "reconnected", "detail": {"generation": 2, "gatewayRestarted": null}})
        );
        let resynced = Marker::Resynced {
            generation,
            what: Topic::Sessions,
            snapshot: Some(RawJson::parse(r#"{"sessions":[]}"#).unwrap()),
            again: false,
        };
        assert_eq!(
            marker(resynced),
            json!({"marker": "resynced", "detail":
                {"generation": 2, "what": "sessions", "session": null, "again": false, "snapshot": {"sessions": []}}})
        );
        let unsynced = Marker::Unsynced {
            generation,
            what: Topic::messages("agent:a:main"),
            why: "no".into(),
        };
        assert_eq!(
            marker(unsynced),
            json!({"marker": "unsynced", "detail":
                {"generation": 2, "what": "messages", "session": "agent:a:main", "why": "no"}})
        );
        assert_eq!(marker(Marker::TooSlow), json!({"marker": "tooSlow", "detail": {}}));
    }
}
