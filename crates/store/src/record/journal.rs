//! The entries of the journal: the events of gateways and the changes of their lines, in order.

use serde::Serialize;
use windlass_protocol::{RawJson, SessionKey};

use super::named;
use crate::backend::check;
use crate::error::StoreError;
use crate::limits;
use crate::values::{Cursor, GatewayUid, Timestamp};

/// The size of an entry without its texts, in bytes: its numbers, its gateway's id, its share of a row and a page.
const ENTRY_BYTES: u64 = 96;

named! {
    /// The sort of an entry.
    EntryType, "entry type" {
        /// The gateway sent it.
        Event = "event",
        /// The stream itself changed: a gap, a disconnect, a restart.
        Marker = "marker",
    }
}

/// The kind of an entry, with its name of at most [`limits::KEY_CHARS`] characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum EntryLabel {
    /// An event of the gateway.
    Event {
        /// The gateway's name for it, for example `chat`.
        name: Box<str>,
    },
    /// A change of the stream.
    Marker {
        /// The writer's name for it, for example `gap`.
        name: Box<str>,
    },
    /// An entry that was appended and can't be read any more. It is only read, never appended: one damaged row costs one entry, and
    /// its place stays visible.
    Damaged {
        /// The first part that can't be read, for example `entries.body`.
        what: Box<str>,
    },
}

impl EntryLabel {
    /// An event.
    pub fn event(name: impl Into<Box<str>>) -> Self {
        Self::Event { name: name.into() }
    }

    /// A marker.
    pub fn marker(name: impl Into<Box<str>>) -> Self {
        Self::Marker { name: name.into() }
    }

    /// A kind by its two parts.
    pub fn of(kind: EntryType, name: &str) -> Self {
        match kind {
            EntryType::Event => Self::event(name),
            EntryType::Marker => Self::marker(name),
        }
    }

    /// Event or marker; `None` for an entry that can't be read.
    pub fn entry_type(&self) -> Option<EntryType> {
        match self {
            Self::Event { .. } => Some(EntryType::Event),
            Self::Marker { .. } => Some(EntryType::Marker),
            Self::Damaged { .. } => None,
        }
    }

    /// Its name; for an entry that can't be read, the first unreadable part.
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
    /// Its kind.
    #[serde(flatten)]
    pub kind: EntryLabel,
    /// The event's number, where the gateway gives one.
    pub seq: Option<u64>,
    /// The session of the event.
    pub session_key: Option<SessionKey>,
    /// Its payload, of at most [`limits::JOURNAL_BODY_BYTES`]; shared, not copied.
    pub body: RawJson,
    /// The time of arrival.
    pub at: Timestamp,
}

/// An entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its place.
    pub cursor: Cursor,
    /// The appended entry.
    #[serde(flatten)]
    pub entry: NewEntry,
}

/// The cursors of an appended batch. They follow each other without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The first entry's.
    pub first: Cursor,
    /// The last entry's.
    pub last: Cursor,
}

/// A selection of entries. The default takes all.
///
/// `names` does not apply to markers, and `session_key` excludes only markers about another session: markers tell every reader
/// about events that it may have missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalFilter {
    /// Those of this gateway only.
    pub gateway: Option<GatewayUid>,
    /// Events with one of these names only; at most [`limits::FILTER_NAMES`]. Empty takes every name.
    pub names: Vec<String>,
    /// Events about this session only.
    pub session_key: Option<SessionKey>,
    /// Leaves out all markers.
    pub events_only: bool,
}

/// Entries that a reader has not seen and will not see. Their number, and whether the filter would have taken any of them, is not
/// known any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// They were pruned, or lost with an earlier journal.
    Pruned {
        /// The first place of the hole.
        first: Cursor,
        /// The last place of the hole.
        last: Cursor,
    },
    /// The cursor is above all entries of this journal, so it is of another journal. Reading begins with the oldest entry instead.
    OtherJournal,
}

/// A part of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// A hole between the reader's cursor and the first entry here: report it before the entries.
    pub lost: Option<Lost>,
    /// The entries, in order. Empty does not mean the end: the filter may have excluded all entries of the page.
    pub entries: Vec<Entry>,
    /// The cursor to continue after, beyond entries that the filter excluded. `None` only if the journal never had an entry.
    pub next: Option<Cursor>,
    /// Whether `next` is the newest entry.
    pub is_end: bool,
}

/// The position of a consumer after it acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its position before; `None` for a new consumer.
    pub before: Option<Cursor>,
    /// Its position now.
    pub now: Cursor,
    /// The reader that acknowledged before. A reader that has acknowledged already and finds another one here is not the only
    /// reader of this name.
    pub previous_reader: Option<ReaderId>,
}

impl Acknowledged {
    /// The effect of an acknowledgement: a consumer goes forward, and goes back only from a cursor that this journal does not have.
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

    /// Whether the acknowledgement changes the record of the consumer.
    pub fn is_news(&self, reader: ReaderId) -> bool {
        self.before != Some(self.now) || self.previous_reader != Some(reader)
    }
}

/// The extent of the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The oldest entry that is present.
    pub oldest: Option<Cursor>,
    /// The newest entry ever appended, present or not: a reader that begins after it gets future entries only.
    pub newest: Option<Cursor>,
    /// The number of entries.
    pub entries: u64,
    /// Their size in bytes: their texts, and a fixed share for the rest.
    pub bytes: u64,
}

/// The position of a named reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Consumer {
    /// Its name.
    pub name: String,
    /// The last entry that it processed.
    pub cursor: Cursor,
    /// The time of the acknowledgement.
    pub at: Timestamp,
    /// The reader that acknowledged; `None` in records of an earlier version.
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
    /// The gateway of an entry whose gateway can't be read.
    pub const NO_GATEWAY: GatewayUid = GatewayUid::from_uuid(uuid::Uuid::nil());

    /// An entry whose part `what` can't be read. The caller fills in the parts that can be.
    pub fn damaged(what: impl Into<Box<str>>) -> Self {
        Self {
            gateway: Self::NO_GATEWAY,
            generation: 0,
            kind: EntryLabel::Damaged { what: what.into() },
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

    /// Its size, in bytes.
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
    /// Checks the fields, before it is written.
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
            EntryLabel::Marker { .. } => {
                let of_all = entry.session_key.is_none();
                !self.events_only && (of_all || self.session_key.as_ref().is_none_or(of_session))
            }
            // What it was is not known.
            EntryLabel::Damaged { .. } => true,
            EntryLabel::Event { name } => {
                (self.names.is_empty() || self.names.iter().any(|known| **known == **name))
                    && self.session_key.as_ref().is_none_or(of_session)
            }
        }
    }
}
