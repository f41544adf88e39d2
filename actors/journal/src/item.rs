//! What a reader of the journal receives.

use std::sync::Arc;

use windlass_protocol::{Generation, RawJson};
use windlass_store::{Cursor, GatewayUid, Lost, PRUNED_MARKER, Timestamp};

use super::Stall;
use windlass_line::routing::{Event, Marker};

/// The next thing in a journal.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TrailItem {
    /// An entry, in its place.
    Recorded(Box<Recorded>),
    /// Entries were here that are gone: pruned, or of another journal.
    Lost(Lost),
    /// The store takes nothing just now: what gateways send waits, and is a marked hole if it comes to be too much. Told by a
    /// recorder in the same process only; it is no entry.
    Stalled(Stall),
    /// The store takes entries again.
    Resumed,
    /// Another reader acknowledges under the same consumer's name: what one of them acknowledged is not read again by the other
    /// after its next start. Told once, and again after it ended; it is no entry.
    OtherReader,
}

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its place: a reader that comes with it later goes on behind it.
    pub cursor: Cursor,
    /// The gateway that it is about: [`GatewayUid::of_line`] of its line's id.
    pub gateway: GatewayUid,
    /// When the recorder took it, by the clock of its machine.
    pub at: Timestamp,
    /// The connection; counted from 1 in each life of the recording process.
    pub generation: Generation,
    /// What it is.
    pub what: What,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// An event of the gateway.
    Event(Arc<Event>),
    /// A word about the stream.
    Marker(RecordedMarker),
}

/// A word about a recorded stream.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RecordedMarker {
    /// What the line told. Its [`Marker::Lagged`] says that the recorder could not keep up.
    Line(Marker),
    /// A recorder begins with this gateway: what was sent since the entry before it (of this gateway) is missing.
    Began {
        /// The line's id.
        line: Box<str>,
        /// Whether the line was up: then events follow, without a [`Marker::Reconnected`] before them.
        up: bool,
    },
    /// A recorder ended in good order, or its gateway was let go.
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
