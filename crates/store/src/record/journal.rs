//! The journal's entries: what a gateway sent and what became of its line, in order.

use serde::Serialize;
use windlass_protocol::{RawJson, SessionKey};

use super::named;
use super::reach::Cursor;
use crate::backend::check;
use crate::error::StoreError;
use crate::limits;
use crate::values::{GatewayUid, Timestamp};

/// What an entry counts beside its texts, in bytes: its numbers, its gateway's id, its row's and its page's share.
const ENTRY_BYTES: u64 = 96;

named! {
    /// Which of the two an entry is.
    EntryType, "entry type" {
        /// The gateway sent it.
        Event = "event",
        /// Something happened to the stream: a gap, a disconnect, a restart.
        Marker = "marker",
    }
}

/// What an entry is, with its name of at most [`limits::KEY_CHARS`] characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum EntryKind {
    /// An event of the gateway.
    Event {
        /// As the gateway calls it, for example `chat`.
        name: Box<str>,
    },
    /// Something that happened to the stream.
    Marker {
        /// As the one who appends it calls it, for example `gap`.
        name: Box<str>,
    },
    /// An entry that was appended and can't be read any more. It is only read, never appended: it keeps the place of what is lost,
    /// and one bad row costs itself.
    Damaged {
        /// The first part that can't be read, for example `entries.body`.
        what: Box<str>,
    },
}

impl EntryKind {
    /// An event.
    pub fn event(name: impl Into<Box<str>>) -> Self {
        Self::Event { name: name.into() }
    }

    /// A marker.
    pub fn marker(name: impl Into<Box<str>>) -> Self {
        Self::Marker { name: name.into() }
    }

    pub fn of(kind: EntryType, name: &str) -> Self {
        match kind {
            EntryType::Event => Self::event(name),
            EntryType::Marker => Self::marker(name),
        }
    }

    /// Which of the two; neither for an entry that can't be read.
    pub fn entry_type(&self) -> Option<EntryType> {
        match self {
            Self::Event { .. } => Some(EntryType::Event),
            Self::Marker { .. } => Some(EntryType::Marker),
            Self::Damaged { .. } => None,
        }
    }

    /// Its name; of an entry that can't be read, the part.
    pub fn name(&self) -> &str {
        match self {
            Self::Event { name } | Self::Marker { name } => name,
            Self::Damaged { what } => what,
        }
    }
}

/// An entry that is to be appended. `Debug` shows the length of its body only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewEntry {
    /// The gateway, which needs no record.
    pub gateway: GatewayUid,
    /// The generation of the line to it.
    pub generation: u64,
    /// What it is.
    #[serde(flatten)]
    pub kind: EntryKind,
    /// The event's number, where the gateway gives one.
    pub seq: Option<u64>,
    /// The session that it is about.
    pub session_key: Option<SessionKey>,
    /// What it carries, of at most [`limits::JOURNAL_BODY_BYTES`]; shared, not copied.
    pub body: RawJson,
    /// When it came.
    pub at: Timestamp,
}

/// An entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its place.
    pub cursor: Cursor,
    /// What was appended there.
    #[serde(flatten)]
    pub entry: NewEntry,
}

/// The places of what was appended: each entry has the one after that of the entry before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The first entry's.
    pub first: Cursor,
    /// The last entry's.
    pub last: Cursor,
}

/// Which entries. Empty, it takes all.
///
/// Markers are not narrowed by `names`, nor by `session_key` unless they are about another session: they say what a reader may
/// have missed, whatever it reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalFilter {
    /// Those of this gateway only.
    pub gateway: Option<GatewayUid>,
    /// Of events, those with one of these names only; at most [`limits::FILTER_NAMES`]. Empty: whatever their name.
    pub names: Vec<String>,
    /// Of events, those about this session only.
    pub session_key: Option<SessionKey>,
    /// Leaves out all markers.
    pub events_only: bool,
}

/// Entries that a reader has not seen and will not see. How many of them there were, and whether the filter would have taken any,
/// is not known any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// They were pruned, or lost with a journal that was here before this one.
    Pruned {
        /// The first place of the hole.
        first: Cursor,
        /// The last place of the hole.
        last: Cursor,
    },
    /// The cursor is above all of this journal: it is of another one. What is read instead begins with the oldest entry.
    OtherJournal,
}

/// A part of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// A hole between the cursor that was read after and the first entry here: tell whoever reads, before the entries.
    pub lost: Option<Lost>,
    /// The entries, in order. Empty does not mean the end: all that was looked at may have been filtered away.
    pub entries: Vec<Entry>,
    /// Where to read on. It passes over what the filter left out; none only where nothing was ever appended.
    pub next: Option<Cursor>,
    /// Whether nothing comes after `next` yet.
    pub is_end: bool,
}

/// How far a consumer is after it acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// How far it was before, or not at all.
    pub before: Option<Cursor>,
    /// How far it is now.
    pub now: Cursor,
    /// The reader that acknowledged before. A reader that has acknowledged already and finds another one here is not the only
    /// reader of this name.
    pub previous_reader: Option<ReaderId>,
}

impl Acknowledged {
    /// What follows from an acknowledgement: it goes forward, and goes back only from a place that this journal does not have.
    pub fn of(known: Option<&Consumer>, cursor: Cursor, newest: Cursor) -> Self {
        let before = known.map(|known| known.cursor);
        let now = match before {
            Some(before) if before <= newest => before.max(cursor),
            _ => cursor,
        };
        Self {
            before,
            now,
            previous_reader: known.and_then(|known| known.reader),
        }
    }

    /// Whether there is something to write down.
    pub fn is_news(&self, reader: ReaderId) -> bool {
        self.before != Some(self.now) || self.previous_reader != Some(reader)
    }
}

/// How far the journal reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The oldest entry that is there.
    pub oldest: Option<Cursor>,
    /// The newest one ever appended, whether it is still there or not: who reads after it reads what is to come.
    pub newest: Option<Cursor>,
    /// How many there are.
    pub entries: u64,
    /// How many bytes they count: their texts, and a fixed share for the rest.
    pub bytes: u64,
}

/// How far a reader is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Consumer {
    /// Its name.
    pub name: String,
    /// The last entry that it has done with.
    pub cursor: Cursor,
    /// When it said so.
    pub at: Timestamp,
    /// The reader that said so; none where an earlier version wrote it.
    pub reader: Option<ReaderId>,
}

/// One reader of the journal, told apart from others that read under the same consumer's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ReaderId(i64);

impl ReaderId {
    /// A reader by a number that no other reader has: drawn by chance, or counted.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> i64 {
        self.0
    }
}

impl NewEntry {
    /// Stands for the gateway of an entry of which even that can't be read.
    pub const NO_GATEWAY: GatewayUid = GatewayUid::from_uuid(uuid::Uuid::nil());

    /// What is left of an entry of which `what` can't be read; the other parts as far as they could be.
    pub fn damaged(what: impl Into<Box<str>>) -> Self {
        Self {
            gateway: Self::NO_GATEWAY,
            generation: 0,
            kind: EntryKind::Damaged { what: what.into() },
            seq: None,
            session_key: None,
            body: RawJson::null(),
            at: Timestamp::from_millis(0),
        }
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.kind.entry_type().is_none() {
            return Err(StoreError::invalid("entry.kind", "is for reading only"));
        }
        if self.kind.name().is_empty() {
            return Err(StoreError::invalid("entry.name", "is empty"));
        }
        check::chars("entry.name", self.kind.name(), limits::KEY_CHARS)?;
        for (field, number) in [("entry.generation", Some(self.generation)), ("entry.seq", self.seq)] {
            if number.is_some_and(|number| i64::try_from(number).is_err()) {
                return Err(StoreError::invalid(field, "is too large"));
            }
        }
        check::bytes("entry.body", self.body.as_str(), limits::JOURNAL_BODY_BYTES)
    }

    /// How many bytes it counts.
    pub fn size(&self) -> u64 {
        let key = self.session_key.as_ref().map_or(0, |key| key.as_str().len());
        ENTRY_BYTES + (self.kind.name().len() + key + self.body.as_str().len()) as u64
    }
}

/// Checks a batch before it is appended.
pub fn check_batch(entries: &[NewEntry]) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Err(StoreError::invalid("journal.entries", "is empty"));
    }
    if entries.len() > limits::JOURNAL_BATCH {
        let why = format!("is more than {} entries", limits::JOURNAL_BATCH);
        return Err(StoreError::invalid("journal.entries", why));
    }
    for entry in entries {
        entry.check()?;
    }
    let bytes: usize = entries.iter().map(|entry| entry.body.as_str().len()).sum();
    if bytes > limits::JOURNAL_BATCH_BYTES {
        let why = format!("is more than {} bytes", limits::JOURNAL_BATCH_BYTES);
        return Err(StoreError::invalid("journal.entries", why));
    }
    Ok(())
}

impl JournalFilter {
    pub fn check(&self) -> Result<(), StoreError> {
        if self.names.len() > limits::FILTER_NAMES {
            let why = format!("is more than {} names", limits::FILTER_NAMES);
            return Err(StoreError::invalid("filter.names", why));
        }
        Ok(())
    }

    /// Whether it takes this entry.
    pub fn takes(&self, entry: &NewEntry) -> bool {
        if self.gateway.is_some_and(|gateway| gateway != entry.gateway) {
            return false;
        }
        let of_session = |key: &SessionKey| entry.session_key.as_ref() == Some(key);
        match &entry.kind {
            EntryKind::Marker { .. } => {
                let of_all = entry.session_key.is_none();
                !self.events_only && (of_all || self.session_key.as_ref().is_none_or(of_session))
            }
            // What it was is not known.
            EntryKind::Damaged { .. } => true,
            EntryKind::Event { name } => {
                (self.names.is_empty() || self.names.iter().any(|known| **known == **name))
                    && self.session_key.as_ref().is_none_or(of_session)
            }
        }
    }
}
