//! Readers of the journal.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustc_hash::FxHasher;
use tokio::sync::watch;
use windlass_line::clock::{Clock, sleep_until};
use windlass_line::routing::{EventFilter, Marker, Sieve};
use windlass_protocol::{EventKeys, SessionKey, SessionKeySpace};
use windlass_store::{
    Cursor, Entry, GatewayUid, JournalFilter, Lost, NewEntry, ReaderId, Store, StoreError, Timestamp, limits,
};

use crate::entry::{self, EntryKind, JournalItem, RecordedEntry, RecordedMarker};
use crate::state::{JournalWriterState, JournalWriterStatus, Stall};
use crate::writer::JournalWriter;

/// Where a reader of the journal begins.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartPosition {
    /// With the oldest entry that is there.
    Start,
    /// Behind this entry.
    After(Cursor),
    /// Behind what is there now.
    Now,
    /// Where this consumer is, by its name: behind what it acknowledged last, and at the start the first time.
    Consumer(String),
}

impl StartPosition {
    /// The entry to begin behind; none for the oldest that is there.
    pub(super) async fn cursor(&self, store: &dyn Store) -> Result<Option<Cursor>, StoreError> {
        match self {
            Self::Start => Ok(None),
            Self::After(cursor) => Ok(Some(*cursor)),
            Self::Now => store.journal_extent().await.map(|extent| extent.newest),
            Self::Consumer(name) => store.acknowledged(name).await,
        }
    }

    /// The consumer that reads, where one does.
    pub(super) fn consumer(self) -> Option<String> {
        match self {
            Self::Consumer(name) => Some(name),
            _ => None,
        }
    }
}

/// How often a journal that another process writes is looked at: nothing tells of what it appends.
pub const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Entries read at once.
const PAGE: usize = 256;

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct ReaderFilter {
    /// Which events. Markers come with them, as in [`EventFilter`]. How a gateway spells its keys is not recorded: a session that
    /// is named without its agent is that of any agent.
    pub events: EventFilter,
    /// Of these gateways only; empty for all.
    pub gateways: Vec<GatewayUid>,
}

/// A stream of what is in a journal, and of what comes to be in it.
///
/// It reads on behind the last item that it gave, so it can be dropped and taken up again by that item's cursor: nothing is lost
/// or given twice.
pub struct JournalReader {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    narrowed: JournalFilter,
    gateways: Vec<GatewayUid>,
    sieve: Sieve,
    consumer: Option<String>,
    /// Behind what to read next.
    next: Option<Cursor>,
    /// The last entry given, or passed over.
    done: Option<Cursor>,
    acknowledged: Option<Cursor>,
    reader: ReaderId,
    /// Whether this reader has acknowledged, and whether another one was found doing so under the same name.
    has_acknowledged: bool,
    other_reader: OtherReader,
    read: VecDeque<Entry>,
    /// The writer in this process, where there is one.
    writer: Option<watch::Receiver<JournalWriterStatus>>,
    stalled: bool,
    follow: bool,
}

impl JournalReader {
    /// Reads a store's journal, whoever writes it.
    ///
    /// # Errors
    /// The store's, when the place is not one of a fixed cursor and can't be found.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        from: StartPosition,
        filter: ReaderFilter,
    ) -> Result<Self, StoreError> {
        let next = from.cursor(&*store).await?;
        let reader = new_reader(&*clock);
        Ok(Self {
            store,
            clock,
            narrowed: narrowed(&filter),
            gateways: filter.gateways,
            sieve: Sieve::new(filter.events, &SessionKeySpace::unknown()),
            consumer: from.consumer(),
            next,
            done: next,
            acknowledged: next,
            reader,
            has_acknowledged: false,
            other_reader: OtherReader::default(),
            read: VecDeque::new(),
            writer: None,
            stalled: false,
            follow: true,
        })
    }

    /// Reads what this writer writes: told of it at once, and of its troubles; ends when it does.
    pub fn following(mut self, writer: &JournalWriter) -> Self {
        self.writer = Some(writer.status());
        self
    }

    /// Ends with the journal, instead of waiting for more.
    pub const fn to_the_end(mut self) -> Self {
        self.follow = false;
        self
    }

    /// Where the reader is: the last entry that it was given or that was filtered out, to go on behind.
    pub const fn cursor(&self) -> Option<Cursor> {
        self.done
    }

    /// The next item; `None` at the end.
    ///
    /// # Errors
    /// The store's. Asked again, it goes on where it was.
    ///
    /// ## Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Option<JournalItem>, StoreError> {
        loop {
            while let Some(entry) = self.read.pop_front() {
                self.done = Some(entry.cursor);
                if let Some(recorded) = self.wanted(entry) {
                    return Ok(Some(JournalItem::Recorded(Box::new(recorded))));
                }
            }
            if let Some(item) = self.trouble() {
                return Ok(Some(item));
            }
            if self.other_reader == OtherReader::Found {
                self.other_reader = OtherReader::Told;
                return Ok(Some(JournalItem::OtherReader));
            }
            // What is appended after this look is seen by the next one.
            let ended = self.recorder_ended();
            let page = match self.store.read_journal(self.next, &self.narrowed, PAGE).await {
                Err(error) if error.is_transient() => {
                    sleep_until(self.clock.now() + POLL_INTERVAL).await;
                    continue;
                }
                page => page?,
            };
            // A cursor of another journal leads nowhere in this one, which may have no entry yet.
            let kept = self.next.filter(|_| page.lost != Some(Lost::OtherJournal));
            self.next = page.next.or(kept);
            self.read.extend(page.entries);
            if self.read.is_empty() {
                self.done = self.next;
            }
            if let Some(lost) = page.lost {
                return Ok(Some(JournalItem::Lost(lost)));
            }
            if self.read.is_empty() && page.is_end {
                if ended || !self.follow {
                    return Ok(None);
                }
                self.more().await;
            }
        }
    }

    /// Has done with all that was given: the consumer that this reads for goes on behind it the next time. Without a consumer, and
    /// where there is nothing new, it does nothing.
    ///
    /// # Errors
    /// The store's.
    pub async fn acknowledge(&mut self) -> Result<(), StoreError> {
        let (Some(consumer), Some(done)) = (&self.consumer, self.done) else {
            return Ok(());
        };
        if self.acknowledged < Some(done) {
            let at = Timestamp::from(self.clock.wall());
            let before = self.store.acknowledge(consumer, done, self.reader, at).await?;
            let is_shared = self.has_acknowledged && before.previous_reader != Some(self.reader);
            self.other_reader = self.other_reader.after(is_shared);
            self.has_acknowledged = true;
            self.acknowledged = Some(done);
        }
        Ok(())
    }

    /// Whether there is nothing to be had without reading or waiting.
    pub fn is_dry(&self) -> bool {
        self.read.is_empty()
    }

    fn wanted(&self, entry: Entry) -> Option<RecordedEntry> {
        // An entry that does not even tell its gateway may be of any.
        let is_known = entry.entry.gateway != NewEntry::NO_GATEWAY;
        if is_known && !self.gateways.is_empty() && !self.gateways.contains(&entry.entry.gateway) {
            return None;
        }
        let recorded = entry::read(entry);
        let wanted = match &recorded.kind {
            EntryKind::Event(event) => {
                self.sieve.wants_name(&event.name)
                    && (!self.sieve.needs_keys() || self.sieve.wants_keys(&EventKeys::parse(event.payload.as_str())))
            }
            EntryKind::Marker(RecordedMarker::Line(Marker::Resynced { what, .. } | Marker::Unsynced { what, .. })) => {
                self.sieve.wants_topic(what, &SessionKeySpace::unknown())
            }
            EntryKind::Marker(_) => true,
        };
        wanted.then_some(recorded)
    }

    /// A word about the writer, where it is to be told.
    fn trouble(&mut self) -> Option<JournalItem> {
        let stall: Option<Stall> = match &self.writer.as_ref()?.borrow().state {
            JournalWriterState::Stalled { why, .. } => Some(why.clone()),
            JournalWriterState::Recording | JournalWriterState::Ended => None,
        };
        match (std::mem::replace(&mut self.stalled, stall.is_some()), stall) {
            (false, Some(why)) => Some(JournalItem::Stalled(why)),
            (true, None) => Some(JournalItem::Resumed),
            _ => None,
        }
    }

    fn recorder_ended(&mut self) -> bool {
        self.writer.as_mut().is_some_and(|writer| {
            let ended = writer.borrow_and_update().state == JournalWriterState::Ended;
            ended || writer.has_changed().is_err()
        })
    }

    /// Waits until there may be more.
    async fn more(&mut self) {
        match &mut self.writer {
            // An end of the watch is found by the next look.
            Some(writer) => drop(writer.changed().await),
            None => sleep_until(self.clock.now() + POLL_INTERVAL).await,
        }
    }
}

/// Whether another reader acknowledges under the name of this one's consumer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum OtherReader {
    #[default]
    None,
    Found,
    Told,
}

impl OtherReader {
    const fn after(self, is_shared: bool) -> Self {
        match self {
            _ if !is_shared => Self::None,
            Self::Told => Self::Told,
            Self::None | Self::Found => Self::Found,
        }
    }
}

/// An id that no other reader of the same store has: the process, a count within it, and the time.
fn new_reader(clock: &dyn Clock) -> ReaderId {
    static READERS: AtomicU32 = AtomicU32::new(0);
    let count = READERS.fetch_add(1, Ordering::Relaxed);
    let micros = Timestamp::from(clock.wall()).as_millis();
    let mut hasher = FxHasher::default();
    (std::process::id(), count, micros).hash(&mut hasher);
    ReaderId::new(i64::from_ne_bytes(hasher.finish().to_ne_bytes()))
}

/// As much of a filter as the store can look after.
fn narrowed(filter: &ReaderFilter) -> JournalFilter {
    let names = filter.events.names();
    JournalFilter {
        gateway: match &*filter.gateways {
            [only] => Some(*only),
            _ => None,
        },
        names: if names.len() <= limits::FILTER_NAMES {
            names.iter().map(ToString::to_string).collect()
        } else {
            Vec::new()
        },
        session_key: filter
            .events
            .only_session()
            .and_then(|key| SessionKey::parse(&key).ok()),
        events_only: false,
    }
}

impl fmt::Debug for JournalReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalReader")
            .field("cursor", &self.done)
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}
