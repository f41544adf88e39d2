//! From a line's item to an entry, and back.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use windlass_protocol::{EventKeys, Generation, RawJson, SessionKey};
use windlass_store::{Cursor, Entry, EntryKind, GatewayUid, NewEntry, PRUNED_MARKER, Timestamp, limits};

use super::item::{Recorded, RecordedMarker, What};
use windlass_line::routing::{Event, LineEvent, Marker};

/// Longest name of an event that is shown where it can't be recorded.
const SHOWN: usize = 40;

/// Where and when something was recorded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub(super) gateway: GatewayUid,
    pub(super) generation: Generation,
    pub(super) at: Timestamp,
}

/// An entry of what a line brought. `stamp` has the generation of what came before, which holds for markers that name none.
pub(super) fn of_item(item: &LineEvent, stamp: Stamp) -> NewEntry {
    match item {
        LineEvent::Event(event) => of_event(event, stamp),
        LineEvent::Marker(marker) => of_line_marker(marker, stamp),
    }
}

fn of_event(event: &Event, stamp: Stamp) -> NewEntry {
    let stamp = Stamp {
        generation: event.generation,
        ..stamp
    };
    if event.name.is_empty() || event.name.chars().nth(limits::KEY_CHARS).is_some() {
        let shown: String = event.name.chars().take(SHOWN).collect();
        let why = format!("a name of {} bytes: {shown:?}", event.name.len()).into();
        return of_marker(&RecordedMarker::Unrecorded { events: 1, why }, stamp);
    }
    let keys = EventKeys::parse(event.payload.as_str());
    NewEntry {
        gateway: stamp.gateway,
        generation: stamp.generation.number(),
        kind: EntryKind::event(&*event.name),
        // A number that no integer column holds is no gateway's.
        seq: event.seq.filter(|seq| i64::try_from(*seq).is_ok()),
        session_key: keys.session_key.and_then(|key| SessionKey::parse(&key).ok()),
        body: event.payload.clone(),
        at: stamp.at,
    }
}

fn of_line_marker(marker: &Marker, stamp: Stamp) -> NewEntry {
    let generation = marker.generation().unwrap_or(stamp.generation);
    of_marker(&RecordedMarker::Line(marker.clone()), Stamp { generation, ..stamp })
}

/// An entry of a marker.
pub(super) fn of_marker(marker: &RecordedMarker, stamp: Stamp) -> NewEntry {
    let body = match marker {
        RecordedMarker::Line(marker) => RawJson::from_value(&marker.detail()),
        RecordedMarker::Began { line, up } => RawJson::from_value(&json!({ "line": line, "up": up })),
        RecordedMarker::Ended => RawJson::from_value(&json!({})),
        RecordedMarker::Unrecorded { events, why } => RawJson::from_value(&json!({ "events": events, "why": why })),
        RecordedMarker::Damaged { what } => RawJson::from_value(&json!({ "what": what })),
        RecordedMarker::Repeated { count, .. } => RawJson::from_value(&json!({ "count": count })),
        RecordedMarker::Pruned { first, entries } => {
            RawJson::from_value(&json!({ "first": first, "entries": entries }))
        }
        RecordedMarker::Other { detail, .. } => Ok(detail.clone()),
    };
    let session = match marker {
        RecordedMarker::Line(Marker::Resynced { what, .. } | Marker::Unsynced { what, .. }) => what.session(),
        _ => None,
    };
    NewEntry {
        gateway: stamp.gateway,
        generation: stamp.generation.number(),
        kind: EntryKind::marker(marker.name()),
        seq: None,
        session_key: session.and_then(|key| SessionKey::parse(key).ok()),
        body: body.unwrap_or(RawJson::null()),
        at: stamp.at,
    }
}

/// The entry as a reader gets it.
pub(super) fn read(entry: Entry) -> Recorded {
    let Entry { cursor, entry } = entry;
    let generation = Generation::new(entry.generation);
    let what = match entry.kind {
        EntryKind::Event { name } => What::Event(Arc::new(Event {
            name: name.into(),
            payload: entry.body,
            seq: entry.seq,
            generation,
        })),
        EntryKind::Marker { name } => What::Marker(marker(name, entry.body)),
        EntryKind::Damaged { what } => What::Marker(RecordedMarker::Damaged { what }),
    };
    Recorded {
        cursor,
        gateway: entry.gateway,
        at: entry.at,
        generation,
        what,
    }
}

fn marker(name: Box<str>, detail: RawJson) -> RecordedMarker {
    #[derive(Deserialize)]
    struct Began {
        line: Box<str>,
        up: bool,
    }
    #[derive(Deserialize)]
    struct Pruned {
        first: Cursor,
        entries: u64,
    }
    #[derive(Deserialize)]
    struct Unrecorded {
        events: u64,
        why: Box<str>,
    }
    #[derive(Deserialize)]
    struct Damaged {
        what: Box<str>,
    }
    let known = match &*name {
        "damaged" => detail
            .decode::<Damaged>()
            .ok()
            .map(|Damaged { what }| RecordedMarker::Damaged { what }),
        "began" => detail
            .decode::<Began>()
            .ok()
            .map(|Began { line, up }| RecordedMarker::Began { line, up }),
        "ended" => Some(RecordedMarker::Ended),
        "unrecorded" => detail
            .decode::<Unrecorded>()
            .ok()
            .map(|Unrecorded { events, why }| RecordedMarker::Unrecorded { events, why }),
        PRUNED_MARKER => detail
            .decode::<Pruned>()
            .ok()
            .map(|Pruned { first, entries }| RecordedMarker::Pruned { first, entries }),
        _ => Marker::of_detail(&name, detail.as_str()).map(|marker| repeated(marker, &detail)),
    };
    known.unwrap_or(RecordedMarker::Other { name, detail })
}

/// A marker of the line, or of many that are one entry.
fn repeated(marker: Marker, detail: &RawJson) -> RecordedMarker {
    #[derive(Deserialize)]
    struct Repeated {
        count: u64,
    }
    match detail.decode::<Repeated>() {
        Ok(Repeated { count }) => RecordedMarker::Repeated { marker, count },
        Err(_) => RecordedMarker::Line(marker),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_line::routing::Topic;

    const STAMP: Stamp = Stamp {
        gateway: GatewayUid::from_uuid(uuid::Uuid::nil()),
        generation: Generation::new(3),
        at: Timestamp::from_millis(7),
    };

    fn back(entry: NewEntry) -> Recorded {
        read(Entry {
            cursor: Cursor::new(1),
            entry,
        })
    }

    fn event(name: &str, seq: u64) -> Event {
        Event {
            name: name.into(),
            payload: RawJson::parse(r#"{"sessionKey":"agent:a:main"}"#).unwrap(),
            seq: Some(seq),
            generation: Generation::new(4),
        }
    }

    #[test]
    fn an_event_comes_back_as_it_was_with_its_session_beside_it() {
        let item = LineEvent::Event(Arc::new(event("chat", 9)));
        let entry = of_item(&item, STAMP);
        assert_eq!(entry.session_key.as_ref().map(SessionKey::as_str), Some("agent:a:main"));
        let recorded = back(entry);
        assert_eq!((recorded.generation, recorded.at), (Generation::new(4), STAMP.at));
        let What::Event(read) = recorded.what else { panic!() };
        assert_eq!(*read, event("chat", 9));
    }

    #[test]
    fn markers_come_back_those_of_later_versions_too() {
        let resynced = Marker::Resynced {
            generation: Generation::new(5),
            what: Topic::messages("agent:a:main"),
            snapshot: None,
            again: true,
        };
        for marker in [
            RecordedMarker::Line(Marker::Lagged(3)),
            RecordedMarker::Line(resynced),
            RecordedMarker::Began {
                line: "lab".into(),
                up: true,
            },
            RecordedMarker::Ended,
            RecordedMarker::Damaged {
                what: "entries.body".into(),
            },
            RecordedMarker::Unrecorded {
                events: 2,
                why: "x".into(),
            },
            RecordedMarker::Repeated {
                marker: Marker::Unreadable,
                count: 7,
            },
            RecordedMarker::Pruned {
                first: Cursor::new(5),
                entries: 6,
            },
            RecordedMarker::Other {
                name: "later".into(),
                detail: RawJson::parse("[1]").unwrap(),
            },
        ] {
            assert_eq!(back(of_marker(&marker, STAMP)).what, What::Marker(marker));
        }
    }

    #[test]
    fn what_no_entry_can_hold_is_a_marked_hole() {
        for name in ["", &"ä".repeat(limits::KEY_CHARS + 1)] {
            let item = LineEvent::Event(Arc::new(event(name, 1)));
            let What::Marker(RecordedMarker::Unrecorded { events: 1, .. }) = back(of_item(&item, STAMP)).what else {
                panic!("{name:?}")
            };
        }
        assert_eq!(
            of_item(&LineEvent::Event(Arc::new(event("chat", u64::MAX))), STAMP).seq,
            None
        );
    }
}
