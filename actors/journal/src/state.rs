//! The state that the handles of a writer and its task share: its status, its configuration and its lines.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use windlass_line::clock::Clock;
use windlass_line::line::Line;
use windlass_line::routing::{Backlog, EventFilter, Overflow, SlowPolicy, Subscription};
use windlass_store::{Cursor, Retention, Store, StoreError};

/// The reason why the store accepts nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stall {
    /// Another process keeps it locked.
    Busy,
    /// The disk is full, or the journal has reached its limit.
    Full,
    /// Another reason, for people.
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

/// The present state of a writer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum JournalWriterState {
    /// The writer records.
    #[default]
    Recording,
    /// The store accepts nothing, and the writer retries. Meanwhile events wait; the oldest are dropped if there are too many, and a
    /// marker reports them.
    Stalled {
        /// The reason.
        why: Stall,
        /// The time of the first failure.
        since: SystemTime,
    },
    /// The writer has stopped.
    Ended,
}

/// The status of a writer. Counts begin with the writer and only grow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct JournalWriterStatus {
    /// Its state.
    pub state: JournalWriterState,
    /// The newest entry of the journal that it knows.
    pub newest: Option<Cursor>,
    /// Appended entries.
    pub entries: u64,
    /// Appended batches. Each waited for the disk once.
    pub batches: u64,
    /// Events and markers that it lost. Markers in the journal report them.
    pub dropped: u64,
    /// Retries after a refusal of the store.
    pub retries: u64,
    /// Pruned entries.
    pub pruned: u64,
}

/// The queue of one gateway while the store is busy: 8192 items, ten seconds of a gateway that streams 800 events a second, in
/// 64 MiB at most. Then the oldest are dropped, and a marker reports them.
pub const DEFAULT_BACKLOG: Backlog = Backlog {
    items: 8192,
    bytes: Overflow::BYTES,
    slow: SlowPolicy::DropOldest,
};

/// Longest time in which a writer that stops stores its last entries. If the store accepts nothing for so long, they are lost.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The configuration of a writer.
#[derive(Debug, Clone)]
pub struct JournalWriterConfig {
    /// The events to record, and whether snapshots come with their markers. By default all events, without snapshots.
    pub filter: EventFilter,
    /// The bounds of the journal. By default everything is kept.
    pub retention: Retention,
    /// The queue of one gateway. Dropped items are always reported by a marker.
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

/// The state that is shared between the handles and the task.
pub(crate) struct SharedWriterState {
    pub(crate) settings: JournalWriterConfig,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The recorded lines, and whether the task has begun with each.
    lines: Mutex<Vec<JoinedLine>>,
    /// Wakes the task: there are lines to begin with.
    pub(crate) joined: Notify,
    pub(crate) stop: watch::Sender<bool>,
}

struct JoinedLine {
    line: Arc<Line>,
    begun: bool,
    /// The events since it joined, until the task begins with it.
    events: Option<Subscription>,
}

impl SharedWriterState {
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

    /// The lines to begin with, once each, with their events.
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

    /// The lines that the task has begun with and that are not closed.
    pub(crate) fn begun(&self) -> Vec<Arc<Line>> {
        let lines = self.lines();
        let begun = lines.iter().filter(|line| line.begun);
        begun.map(|line| Arc::clone(&line.line)).collect()
    }

    /// Removes a closed line.
    pub(crate) fn leave(&self, line: &Arc<Line>) {
        self.lines().retain(|known| !Arc::ptr_eq(&known.line, line));
    }

    /// Makes the task begin with every line again.
    pub(crate) fn begin_again(&self) {
        self.lines().iter_mut().for_each(|line| line.begun = false);
    }

    /// Updates the newest entry from the journal: a task that panicked may have stored a batch without reporting it. Whether the
    /// journal could be read.
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
