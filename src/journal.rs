//! The journal: events of gateways on record in a store, for readers that come later.
//!
//! ```no_run
//! use std::sync::Arc;
//! use windlass::journal::{StartPosition, JournalItem};
//! use windlass::sqlite::SqliteStore;
//!
//! # async fn example(windlass: windlass::Windlass) -> Result<(), Box<dyn std::error::Error>> {
//! let journal = windlass.journal(Arc::new(SqliteStore::open("windlass.db").await?));
//! let writer = journal.writer().start().await?; // every gateway, later ones included
//!
//! let mut reader = journal.reader(StartPosition::Consumer("audit".into())).await?.following(&writer);
//! while let Some(item) = reader.next().await? {
//!     if let JournalItem::Recorded(entry) = item {
//!         println!("{} {:?}", entry.cursor, entry.kind);
//!     }
//!     reader.acknowledge().await?; // the next start continues after this
//! }
//! # Ok(())
//! # }
//! ```
//!
//! An appended entry survives a kill and a power cut. A marker reports each hole, in its place: where the line was down, where the
//! writer could not keep up or did not run, where old entries were pruned. One process at a time writes into a store; any number of
//! processes read.

use std::fmt;
use std::sync::Arc;

pub use windlass_journal::{
    DEFAULT_BACKLOG, EntryKind, JournalItem, JournalReader, JournalWriter, JournalWriterError, JournalWriterState,
    JournalWriterStatus, POLL_INTERVAL, ReaderFilter, RecordedEntry, RecordedMarker, STOP_TIMEOUT, Stall,
    StartPosition,
};
pub use windlass_store::{Cursor, GatewayUid, Lost, Retention, Timestamp};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use windlass_journal::{JournalWriterConfig, WeakJournalWriter};
use windlass_line::{Backlog, EventFilter, Line};
use windlass_store::{Store, StoreError};

use crate::runtime::LineObserver;
use crate::{Gateway, Windlass};

/// The journal of a store.
#[derive(Clone)]
pub struct Journal {
    windlass: Windlass,
    store: Arc<dyn Store>,
}

/// Settings of a [`JournalWriter`].
#[must_use = "nothing is recorded before it is started"]
pub struct JournalWriterBuilder {
    journal: Journal,
    gateways: Option<Vec<Gateway>>,
    settings: JournalWriterConfig,
}

impl Windlass {
    /// The journal of a store, to record events into and to read them from.
    pub fn journal(&self, store: Arc<dyn Store>) -> Journal {
        Journal {
            windlass: self.clone(),
            store,
        }
    }
}

impl Gateway {
    /// Lets a writer record this gateway too, from now on.
    pub fn record_into(&self, writer: &JournalWriter) {
        writer.record(self.shared_line());
    }
}

impl Journal {
    /// Prepares to record.
    pub fn writer(&self) -> JournalWriterBuilder {
        JournalWriterBuilder {
            journal: self.clone(),
            gateways: None,
            settings: JournalWriterConfig::default(),
        }
    }

    /// Reads all entries from this position on, and continues with new ones: within [`POLL_INTERVAL`] after they are stored, and at
    /// once where it is [`following`](JournalReader::following) a writer of this process.
    ///
    /// # Errors
    /// The store's.
    pub async fn reader(&self, from: StartPosition) -> Result<JournalReader, StoreError> {
        self.reader_with(from, ReaderFilter::default()).await
    }

    /// Reads the entries that a filter selects.
    ///
    /// # Errors
    /// The store's.
    pub async fn reader_with(&self, from: StartPosition, filter: ReaderFilter) -> Result<JournalReader, StoreError> {
        let clock = self.windlass.inner().clock();
        JournalReader::open(Arc::clone(&self.store), clock, from, filter).await
    }
}

impl JournalWriterBuilder {
    /// Records these gateways; otherwise all, those that are added later included.
    pub fn gateways(mut self, gateways: impl IntoIterator<Item = Gateway>) -> Self {
        self.gateways = Some(gateways.into_iter().collect());
        self
    }

    /// Records these events only. Snapshots are recorded with their markers where the filter asks for them. All events and no
    /// snapshots unless given.
    pub fn filter(mut self, filter: EventFilter) -> Self {
        self.settings.filter = filter;
        self
    }

    /// The bounds of the journal: older entries are deleted, a few at a time. By default everything is kept.
    pub const fn retention(mut self, retention: Retention) -> Self {
        self.settings.retention = retention;
        self
    }

    /// The queue of one gateway while the store is busy; [`DEFAULT_BACKLOG`] by default. Dropped items are reported by a marker, with
    /// any policy.
    pub fn backlog(mut self, backlog: impl Into<Backlog>) -> Self {
        self.settings.backlog = backlog.into();
        self
    }

    /// Takes the right to record into the store, and starts.
    ///
    /// # Errors
    /// [`JournalWriterError`].
    pub async fn start(self) -> Result<JournalWriter, JournalWriterError> {
        let Self {
            journal,
            gateways,
            settings,
        } = self;
        let inner = journal.windlass.inner();
        let (writer, task) = JournalWriter::open(journal.store, settings, inner.clock()).await?;
        let all = gateways.is_none();
        // Known before anything joins it, so that no gateway that is added just now is left out.
        inner.observe(Arc::new(WriterObserver {
            writer: writer.downgrade(),
            all,
        }));
        for gateway in gateways.unwrap_or_else(|| journal.windlass.gateways()) {
            writer.record(gateway.shared_line());
        }
        inner.side().host(move || task.run()).await?;
        Ok(writer)
    }
}

/// A writer that was started, as `Windlass` knows it.
struct WriterObserver {
    writer: WeakJournalWriter,
    /// It records every gateway, those that are added later included.
    all: bool,
}

impl LineObserver for WriterObserver {
    fn added(&self, line: &Arc<Line>) {
        if self.all
            && let Some(writer) = self.writer.upgrade()
        {
            writer.record(Arc::clone(line));
        }
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        let writer = self.writer.upgrade();
        async move {
            if let Some(writer) = writer {
                writer.stop().await;
            }
        }
        .boxed()
    }

    fn is_gone(&self) -> bool {
        self.writer.upgrade().is_none()
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for JournalWriterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalWriterBuilder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
