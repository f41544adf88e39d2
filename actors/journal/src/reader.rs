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
use windlass_line::routing::{CompiledFilter, EventFilter, Marker};
use windlass_protocol::{EventKeys, SessionKey, SessionKeySpace};
use windlass_store::{
    Cursor, Entry, GatewayUid, JournalFilter, Lost, NewEntry, ReaderId, Store, StoreError, Timestamp, limits,
};

use crate::entry::{self, EntryKind, JournalItem, RecordedEntry, RecordedMarker};
use crate::state::{JournalWriterState, JournalWriterStatus, Stall};
use crate::writer::JournalWriter;

/// The position at which a reader begins.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartPosition {
    /// At the oldest entry that is present.
    Start,
    /// After this entry. A journal that was restored from a backup uses cursors again, so that a cursor from before may belong to
    /// another entry; a [`StartPosition::Consumer`] is restored with its journal.
    After(Cursor),
    /// After the newest entry.
    Now,
    /// At the position of this consumer, by its name: after its last acknowledged entry; at the start the first time.
    Consumer(String),
}

impl StartPosition {
    /// The entry to begin after; `None` begins at the oldest.
    pub(crate) async fn cursor(&self, store: &dyn Store) -> Result<Option<Cursor>, StoreError> {
        match self {
            Self::Start => Ok(None),
            Self::After(cursor) => Ok(Some(*cursor)),
            Self::Now => store.journal_extent().await.map(|extent| extent.newest),
            Self::Consumer(name) => store.acknowledged(name).await,
        }
    }

    /// The consumer, if there is one.
    pub(crate) fn consumer(self) -> Option<String> {
        match self {
            Self::Consumer(name) => Some(name),
            _ => None,
        }
    }
}

/// Interval of looks at a journal that another process writes: nothing reports its appends.
pub const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Entries read at once.
const PAGE: usize = 256;

/// The selection of a reader.
#[derive(Debug, Clone, Default)]
pub struct ReaderFilter {
    /// The events. Markers come with them, as in [`EventFilter`]. The spelling of session keys on a gateway is not recorded: a session
    /// that is named without its agent matches the session of any agent.
    pub events: EventFilter,
    /// These gateways only; empty for all.
    pub gateways: Vec<GatewayUid>,
}

/// A reader of the entries of a journal, present and future.
///
/// It continues after its last item. So a reader can be dropped, and another one can continue at the cursor of that item: nothing is
/// lost or read twice.
pub struct JournalReader {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    narrowed: JournalFilter,
    gateways: Vec<GatewayUid>,
    sieve: CompiledFilter,
    consumer: Option<String>,
    /// The cursor to read after.
    next: Option<Cursor>,
    /// The last entry that was given or filtered out.
    done: Option<Cursor>,
    acknowledged: Option<Cursor>,
    reader: ReaderId,
    /// Whether this reader has acknowledged.
    has_acknowledged: bool,
    other_reader: OtherReader,
    read: VecDeque<Entry>,
    /// The status of a writer in this process, if it follows one.
    writer: Option<watch::Receiver<JournalWriterStatus>>,
    stalled: bool,
    follow: bool,
}

impl JournalReader {
    /// Opens a reader of a store's journal. Any process may write it.
    ///
    /// # Errors
    /// The store's, when the start position has to be looked up.
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
            sieve: CompiledFilter::new(filter.events, &SessionKeySpace::unknown()),
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

    /// Follows a writer of this process: new entries arrive at once, stalls are reported, and the reader ends with the writer.
    pub fn following(mut self, writer: &JournalWriter) -> Self {
        self.writer = Some(writer.status());
        self
    }

    /// Ends after the newest entry, instead of waiting for more.
    pub const fn to_the_end(mut self) -> Self {
        self.follow = false;
        self
    }

    /// The position of the reader: the last entry that was given or filtered out.
    pub const fn cursor(&self) -> Option<Cursor> {
        self.done
    }

    /// The next item; `None` at the end.
    ///
    /// # Errors
    /// The store's. The next call continues at the same position.
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

    /// Acknowledges all items so far: the next reader of the same consumer continues after them. Does nothing without a consumer, or
    /// without new items.
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

    /// Whether the next item needs a read of the store, or a wait.
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

    /// A change of the writer's state that is to be reported.
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

    /// Waits until there may be new entries.
    async fn more(&mut self) {
        match &mut self.writer {
            // An end of the watch is found by the next look.
            Some(writer) => drop(writer.changed().await),
            None => sleep_until(self.clock.now() + POLL_INTERVAL).await,
        }
    }
}

/// The conflict with another reader that acknowledges as the same consumer.
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

/// An id that no other reader of the same store has, made of the process, a count within it, and the time.
fn new_reader(clock: &dyn Clock) -> ReaderId {
    static READERS: AtomicU32 = AtomicU32::new(0);
    let count = READERS.fetch_add(1, Ordering::Relaxed);
    let micros = Timestamp::from(clock.wall()).as_millis();
    let mut hasher = FxHasher::default();
    (std::process::id(), count, micros).hash(&mut hasher);
    ReaderId::new(i64::from_ne_bytes(hasher.finish().to_ne_bytes()))
}

/// The part of a filter that the store can apply.
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
