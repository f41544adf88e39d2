//! Items of a reader, and their form in the journal: from an item of a line to a stored entry, and back.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use windlass_line::routing::{Event, LineEvent, Marker};
use windlass_protocol::{EventKeys, Generation, RawJson, SessionKey};
use windlass_store::{Cursor, Entry, EntryLabel, GatewayUid, Lost, NewEntry, PRUNED_MARKER, Timestamp, limits};

use crate::state::Stall;

/// The next thing in a journal.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum JournalItem {
    /// An entry, in its place.
    Recorded(Box<RecordedEntry>),
    /// Entries were here that are gone: pruned, or of another journal.
    Lost(Lost),
    /// The store takes nothing just now: what gateways send waits, and is a marked hole if it comes to be too much. Told by a
    /// writer in the same process only; it is no entry.
    Stalled(Stall),
    /// The store takes entries again.
    Resumed,
    /// Another reader acknowledges under the same consumer's name: what one of them acknowledged is not read again by the other
    /// after its next start. Told once, and again after it ended; it is no entry.
    OtherReader,
}

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEntry {
    /// Its place: a reader that comes with it later goes on behind it.
    pub cursor: Cursor,
    /// The gateway that it is about: [`GatewayUid::of_line`] of its line's id.
    pub gateway: GatewayUid,
    /// When the writer took it, by the clock of its machine.
    pub at: Timestamp,
    /// The connection; counted from 1 in each life of the recording process.
    pub generation: Generation,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq)]
pub enum EntryKind {
    /// An event of the gateway.
    Event(Arc<Event>),
    /// A word about the stream.
    Marker(RecordedMarker),
}

/// A word about a recorded stream.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RecordedMarker {
    /// What the line told. Its [`Marker::Lagged`] says that the writer could not keep up.
    Line(Marker),
    /// A writer begins with this gateway: what was sent since the entry before it (of this gateway) is missing.
    Began {
        /// The line's id.
        line: Box<str>,
        /// Whether the line was up: then events follow, without a [`Marker::Reconnected`] before them.
        up: bool,
    },
    /// A writer ended in good order, or its gateway was let go.
    Ended,
    /// Events of which an entry can't be made.
    Unrecorded {
        /// How many.
        events: u64,
        /// Why, for people.
        why: Box<str>,
    },
    /// Something was recorded here that can't be read any more: the file was damaged. It stands in the place of one entry.
    Damaged {
        /// The part that can't be read, for example `entries.body`.
        what: Box<str>,
    },
    /// A marker that came again and again, with nothing else of its gateway in between.
    Repeated {
        /// The marker.
        marker: Marker,
        /// How often.
        count: u64,
    },
    /// Entries of this gateway were deleted here: it took more than its share of a journal that was too large.
    Pruned {
        /// The first place of the hole. The last one is the marker's own.
        first: Cursor,
        /// How many entries there were.
        entries: u64,
    },
    /// A marker of a later version.
    Other {
        /// Its name.
        name: Box<str>,
        /// What it says.
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

/// Where and when something was recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) gateway: GatewayUid,
    pub(crate) generation: Generation,
    pub(crate) at: Timestamp,
}

/// An entry of what a line brought. `stamp` has the generation of what came before, which holds for markers that name none.
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

/// The entry as a reader gets it.
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
mod tests;
