//! The items of a reader, and the conversion between the items of a line and stored entries.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use windlass_line::routing::{Event, LineEvent, Marker};
use windlass_protocol::{EventKeys, Generation, RawJson, SessionKey};
use windlass_store::{Cursor, Entry, EntryLabel, GatewayUid, Lost, NewEntry, PRUNED_MARKER, Timestamp, limits};

use crate::state::Stall;

/// An item of a reader.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum JournalItem {
    /// An entry.
    Recorded(Box<RecordedEntry>),
    /// Entries are missing here: they were pruned, or belong to another journal.
    Lost(Lost),
    /// The store accepts nothing at present. Events wait in a bounded queue; if it overflows, a marker reports the hole. Only a reader
    /// that follows a writer of the same process gets this item; it is not an entry.
    Stalled(Stall),
    /// The store accepts entries again.
    Resumed,
    /// Another reader acknowledges as the same consumer: after a restart, neither reads again the entries that the other acknowledged.
    /// Reported once, and again after the conflict ended and came back; it is not an entry.
    OtherReader,
}

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEntry {
    /// Its cursor: a later reader can continue after it.
    pub cursor: Cursor,
    /// Its gateway: [`GatewayUid::of_line`] of the line's id.
    pub gateway: GatewayUid,
    /// The time of arrival, by the clock of the writer's machine.
    pub at: Timestamp,
    /// The connection; counted from 1 in each process that writes.
    pub generation: Generation,
    /// An event or a marker.
    pub kind: EntryKind,
}

/// The content of an entry.
#[derive(Debug, Clone, PartialEq)]
pub enum EntryKind {
    /// An event of the gateway.
    Event(Arc<Event>),
    /// A marker: a report about the stream.
    Marker(RecordedMarker),
}

/// A report about the recorded stream.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RecordedMarker {
    /// A marker of the line. [`Marker::Lagged`] means that the writer could not keep up.
    Line(Marker),
    /// A writer begins to record this gateway: events since the gateway's previous entry are missing.
    Began {
        /// The line's id.
        line: Box<str>,
        /// Whether the line was up. Then events follow without a [`Marker::Reconnected`] before them.
        up: bool,
    },
    /// A writer stopped, or its gateway was removed.
    Ended,
    /// Events that no entry can hold.
    Unrecorded {
        /// Their number.
        events: u64,
        /// The reason, for people.
        why: Box<str>,
    },
    /// The entry here can't be read any more: the file was damaged.
    Damaged {
        /// The part that can't be read, for example `entries.body`.
        what: Box<str>,
    },
    /// A marker that came repeatedly, with no other entry of its gateway in between.
    Repeated {
        /// The marker.
        marker: Marker,
        /// The number of repetitions.
        count: u64,
    },
    /// Entries of this gateway were pruned here: it took more than its share of a journal that was too large.
    Pruned {
        /// The first place of the hole. The last one is the marker's own.
        first: Cursor,
        /// The number of pruned entries.
        entries: u64,
    },
    /// A marker of a later version.
    Other {
        /// Its name.
        name: Box<str>,
        /// Its detail.
        detail: RawJson,
    },
}

impl RecordedMarker {
    /// One lower-case word, as it stands in the journal and in JSON.
    pub fn name(&self) -> &str {
        match self {
            Self::Line(marker) | Self::Repeated { marker, .. } => marker.name(),
            Self::Began { .. } => "began",
            Self::Ended => "ended",
            Self::Unrecorded { .. } => "unrecorded",
            Self::Damaged { .. } => "damaged",
            Self::Pruned { .. } => PRUNED_MARKER,
            Self::Other { name, .. } => name,
        }
    }
}

/// Longest name of an event that is shown where it can't be recorded.
const SHOWN: usize = 40;

/// Gateway, connection and time of an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) gateway: GatewayUid,
    pub(crate) generation: Generation,
    pub(crate) at: Timestamp,
}

/// The entry of an item of a line. The generation of `stamp` is that of the previous item; it holds for markers that name none.
pub(crate) fn of_item(item: &LineEvent, stamp: Stamp) -> NewEntry {
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
        kind: EntryLabel::event(&*event.name),
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
pub(crate) fn of_marker(marker: &RecordedMarker, stamp: Stamp) -> NewEntry {
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
        kind: EntryLabel::marker(marker.name()),
        seq: None,
        session_key: session.and_then(|key| SessionKey::parse(key).ok()),
        body: body.unwrap_or(RawJson::null()),
        at: stamp.at,
    }
}

/// The form of an entry that a reader gets.
pub(crate) fn read(entry: Entry) -> RecordedEntry {
    let Entry { cursor, entry } = entry;
    let generation = Generation::new(entry.generation);
    let kind = match entry.kind {
        EntryLabel::Event { name } => EntryKind::Event(Arc::new(Event {
            name: name.into(),
            payload: entry.body,
            seq: entry.seq,
            generation,
        })),
        EntryLabel::Marker { name } => EntryKind::Marker(marker(name, entry.body)),
        EntryLabel::Damaged { what } => EntryKind::Marker(RecordedMarker::Damaged { what }),
    };
    RecordedEntry {
        cursor,
        gateway: entry.gateway,
        at: entry.at,
        generation,
        kind,
    }
}

fn marker(name: Box<str>, detail: RawJson) -> RecordedMarker {
    #[derive(Deserialize)]
    struct Began {
        line: Box<str>,
        up: bool,
    }
    #[derive(Deserialize)]
    struct PrunedDetail {
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
            .decode::<PrunedDetail>()
            .ok()
            .map(|PrunedDetail { first, entries }| RecordedMarker::Pruned { first, entries }),
        _ => Marker::of_detail(&name, detail.as_str()).map(|marker| repeated(marker, &detail)),
    };
    known.unwrap_or(RecordedMarker::Other { name, detail })
}

/// A marker of the line, or an entry of repeated markers.
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
mod tests;
