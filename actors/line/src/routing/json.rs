//! Events and markers as JSON, for logs, command lines and journals.
//!
//! The shapes are stable: members are added, none is renamed or taken away.
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

use serde::ser::{SerializeMap as _, SerializeStruct as _};
use serde::{Deserialize, Serialize, Serializer};
use windlass_protocol::connection::Gap;
use windlass_protocol::{Generation, RawJson};

use super::{Event, LineEvent, Marker, Topic};

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
        object.serialize_field("detail", &Detail(self))?;
        object.end()
    }
}

struct Detail<'a>(&'a Marker);

impl Serialize for Detail<'_> {
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
struct Parts {
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

impl Parts {
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
        Detail(self)
    }

    /// The marker of this name and detail; none that this version knows where they are a later version's.
    pub fn of_detail(name: &str, detail: &str) -> Option<Self> {
        let parts: Parts = windlass_protocol::json::decode(detail).ok()?;
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
mod tests {
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
