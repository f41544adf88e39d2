//! The state that the handles of a writer and its task share: its status, its configuration and its lines.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use windlass_line::clock::Clock;
use windlass_line::line::Line;
use windlass_line::routing::{Backlog, EventFilter, Overflow, SlowPolicy, Subscription};
use windlass_store::{Cursor, Retention, Store, StoreError};

/// Why the store takes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stall {
    /// Another process has it locked.
    Busy,
    /// The disk, or what the journal may take of it, is full.
    Full,
    /// Something else, for people.
    Failed(Box<str>),
}

impl Stall {
    pub(crate) fn of(error: &StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            StoreError::Full => Self::Full,
            other => Self::Failed(with_causes(other).into()),
        }
    }

    /// Whether it is likely to pass within moments.
    pub(crate) const fn is_short(&self) -> bool {
        matches!(self, Self::Busy)
    }
}

fn with_causes(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("another process keeps the journal locked"),
            Self::Full => f.write_str("there is no room for the journal: make room, or keep less"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// What a writer does just now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum JournalWriterState {
    /// It records.
    #[default]
    Recording,
    /// The store takes nothing. It is tried again; meanwhile events wait, and then the oldest are dropped, which is marked.
    Stalled {
        /// Why.
        why: Stall,
        /// Since when.
        since: SystemTime,
    },
    /// It is over.
    Ended,
}

/// All that is known of a writer at one moment. Counts begin with it and only grow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct JournalWriterStatus {
    /// What it does.
    pub state: JournalWriterState,
    /// The last entry of the journal that it knows of.
    pub newest: Option<Cursor>,
    /// Entries that it appended.
    pub entries: u64,
    /// Batches that it appended them in: as often the disk was waited for.
    pub batches: u64,
    /// Events and markers that were lost to it, each marked in the journal.
    pub dropped: u64,
    /// Times that the store refused, and was tried again.
    pub retries: u64,
    /// Entries that it pruned.
    pub pruned: u64,
}

/// What may wait of one gateway while the store is busy: 8192 items, ten seconds of a gateway that streams 800 events a second,
/// in 64 MiB at most. Then the oldest are dropped, and marked.
pub const DEFAULT_BACKLOG: Backlog = Backlog {
    items: 8192,
    bytes: Overflow::BYTES,
    slow: SlowPolicy::DropOldest,
};

/// How long a writer that is told to stop tries to store what it holds. A store that takes nothing for so long is left.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What to record, and how much of it to keep.
#[derive(Debug, Clone)]
pub struct JournalWriterConfig {
    /// Which events, and whether snapshots come with their markers. Everything without snapshots, unless said otherwise.
    pub filter: EventFilter,
    /// What is kept. Everything, unless said otherwise.
    pub retention: Retention,
    /// What may wait of one gateway. However it is full, what is dropped is marked.
    pub backlog: Backlog,
}

impl Default for JournalWriterConfig {
    fn default() -> Self {
        Self {
            filter: EventFilter::all(),
            retention: Retention::default(),
            backlog: DEFAULT_BACKLOG,
        }
    }
}

/// What a writer's handles and its task have in common.
pub(crate) struct WriterState {
    pub(crate) settings: JournalWriterConfig,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Lines that it records, and whether it has begun with them.
    lines: Mutex<Vec<JoinedLine>>,
    /// There are lines to begin with.
    pub(crate) joined: Notify,
    pub(crate) stop: watch::Sender<bool>,
}

struct JoinedLine {
    line: Arc<Line>,
    begun: bool,
    /// What came since it joined, until the task begins with it.
    events: Option<Subscription>,
}

impl WriterState {
    pub(crate) fn new(settings: JournalWriterConfig, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            settings,
            store,
            clock,
            lines: Mutex::default(),
            joined: Notify::new(),
            stop: watch::Sender::new(false),
        }
    }

    pub(crate) fn join(&self, line: Arc<Line>) {
        let mut lines = self.lines();
        if lines.iter().all(|known| !Arc::ptr_eq(&known.line, &line)) {
            let events = Some(self.subscribe(&line));
            lines.push(JoinedLine {
                line,
                begun: false,
                events,
            });
            self.joined.notify_one();
        }
    }

    fn subscribe(&self, line: &Line) -> Subscription {
        line.subscribe(self.settings.filter.clone(), self.settings.backlog)
    }

    /// The lines to begin with, once each, and what they bring.
    pub(crate) fn to_begin(&self) -> Vec<(Arc<Line>, Subscription)> {
        let mut lines = self.lines();
        let waiting = lines.iter_mut().filter(|joined| !joined.begun);
        let begin = waiting.map(|joined| {
            joined.begun = true;
            let events = joined.events.take().unwrap_or_else(|| self.subscribe(&joined.line));
            (Arc::clone(&joined.line), events)
        });
        begin.collect()
    }

    /// The lines that were begun with, and are not closed.
    pub(crate) fn begun(&self) -> Vec<Arc<Line>> {
        let lines = self.lines();
        let begun = lines.iter().filter(|line| line.begun);
        begun.map(|line| Arc::clone(&line.line)).collect()
    }

    /// A line is closed for good.
    pub(crate) fn leave(&self, line: &Arc<Line>) {
        self.lines().retain(|known| !Arc::ptr_eq(&known.line, line));
    }

    /// Every line has to be begun with again.
    pub(crate) fn begin_again(&self) {
        self.lines().iter_mut().for_each(|line| line.begun = false);
    }

    /// Reads what the journal has: a task that panicked may have stored more than it came to say. Whether it could be read.
    pub(crate) async fn find_newest(&self, status: &watch::Sender<JournalWriterStatus>) -> bool {
        match self.store.journal_extent().await {
            Ok(extent) => {
                status.send_modify(|status| status.newest = extent.newest);
                true
            }
            Err(error) => {
                tracing::warn!("the journal can't be read, and is tried again: {error}");
                false
            }
        }
    }

    fn lines(&self) -> MutexGuard<'_, Vec<JoinedLine>> {
        // A list of lines is whole after any panic: nothing is changed in two steps.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for JoinedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line.id().fmt(f)
    }
}
