//! The events of gateways, kept: recorded into a store's journal, and read from any place in it.
//!
//! ```text
//!   Line ─▶ subscription ─┐                                        ┌─▶ JournalReader (from the start, a cursor, a consumer's place)
//!   Line ─▶ subscription ─┼─▶ writer ── a batch, one fsync ─▶ store's journal ─▶ JournalReader
//!   Line ─▶ subscription ─┘      └── prunes, in small steps ──────▶┘
//! ```
//!
//! Readers read the store and nothing else, so what is kept and what is live are one stream: there is no seam for anything to be
//! lost or doubled at. An event is shown when it is safe, some milliseconds after it came.
//!
//! Nothing makes a line wait. What the store can't take for so long that the queues run over is dropped by the router, oldest
//! first, and stands in the journal as the `lagged` marker that the router leaves in its place. Where a writer begins to record
//! a gateway it leaves a `began`, and an `ended` where it stops: between an entry and the `began` behind it is a hole, however the
//! writer before ended.

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
