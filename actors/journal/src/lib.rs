//! Writers and readers of the journal: the events of gateways on record in a store.
//!
//! ```text
//!   Line ─▶ subscription ─┐                                    ┌─▶ JournalReader (from the start, a cursor, a consumer)
//!   Line ─▶ subscription ─┼─▶ JournalWriter ── a batch ─▶ store ─▶ JournalReader
//!   Line ─▶ subscription ─┘        └── prunes in small steps ──▶┘
//! ```
//!
//! A reader reads the store only. So there is no border between old and live entries at which an entry could be lost or doubled. A
//! reader gets an event when it is stored, some milliseconds after it arrived.
//!
//! A writer never makes a line wait. If the store accepts nothing until the queues are full, the router drops the oldest events, and
//! its `lagged` marker stands in the journal in their place. A writer leaves a `began` where it begins to record a gateway, and an
//! `ended` where it stops. Between an entry and the next `began` is a hole, in whichever way the previous writer ended.

mod batch;
mod entry;
mod reader;
mod stamps;
mod state;
mod task;
#[cfg(test)]
mod tests;
mod writer;

pub use entry::{EntryKind, JournalItem, RecordedEntry, RecordedMarker};
pub use reader::{JournalReader, POLL_INTERVAL, ReaderFilter, StartPosition};
pub use state::{DEFAULT_BACKLOG, JournalWriterConfig, JournalWriterState, JournalWriterStatus, STOP_TIMEOUT, Stall};
pub use writer::{JournalWriter, JournalWriterError, JournalWriterTask, WeakJournalWriter};
