//! The journal.

use async_trait::async_trait;

use crate::error::{OwnError, StoreError};
use crate::ownership::Ownership;
use crate::record::{
    Acknowledged, Appended, ClockStep, Consumer, Cursor, Extent, JournalFilter, NewEntry, Page, Pruned, ReaderId,
    Retention,
};
use crate::time::Timestamp;

/// The journal: events and markers of all gateways, in the order in which they were appended, for readers that come later.
///
/// What was appended outlives a kill and a power cut, with its cursor.
#[async_trait]
pub trait Journal {
    /// Takes the right to write this store's journal, which one process has at a time: two that record the same gateway would
    /// record everything twice. Others may still read it, and acknowledge. It binds those who ask for it; [`Journal::append`] does
    /// not.
    async fn own_journal(&self) -> Result<Ownership, OwnError>;

    /// Appends entries, all or none; at least one, at most [`JOURNAL_BATCH`](crate::limits::JOURNAL_BATCH) and
    /// [`JOURNAL_BATCH_BYTES`](crate::limits::JOURNAL_BATCH_BYTES). A batch costs one wait for the disk, however long it is.
    async fn append(&self, entries: &[NewEntry]) -> Result<Appended, StoreError>;

    /// The entries after a cursor that the filter takes, in order; with none, from the oldest that is there. A page ends after
    /// `limit` or [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT) entries, [`JOURNAL_PAGE_BYTES`](crate::limits::JOURNAL_PAGE_BYTES), or
    /// [`JOURNAL_SCAN`](crate::limits::JOURNAL_SCAN) entries looked at, whichever comes first: read on after [`Page::next`] until
    /// [`Page::is_end`].
    ///
    /// Whatever became of the cursor's entry, this goes on with what is there, and says so in [`Page::lost`].
    async fn read_journal(
        &self,
        after: Option<Cursor>,
        filter: &JournalFilter,
        limit: usize,
    ) -> Result<Page, StoreError>;

    /// How far the journal reaches.
    async fn journal_extent(&self) -> Result<Extent, StoreError>;

    /// Deletes entries as far as the retention asks for it; at most `limit` and [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT) in
    /// one step, so that appending is not kept waiting: again while [`Pruned::more`]. Too old are the oldest entries of all;
    /// where the journal is too large, gateways that take more than an equal share lose their oldest entries first. A
    /// [`PRUNED_MARKER`](crate::PRUNED_MARKER) stands in the place of entries that were deleted behind older ones that stay.
    /// Deleted entries leave their room to new ones; the database's file does not shrink.
    async fn prune_journal(&self, retention: &Retention, now: Timestamp, limit: usize) -> Result<Pruned, StoreError>;

    /// The clock that stamps entries moved. Pruning by age counts the age of the entries up to [`ClockStep::upto`] by the clock
    /// as it is now. A journal without entries has nothing to correct.
    async fn note_clock_step(&self, step: ClockStep) -> Result<(), StoreError>;

    /// The steps of the clock that are known, oldest first; those before the oldest entry are forgotten.
    async fn clock_steps(&self) -> Result<Vec<ClockStep>, StoreError>;

    /// A consumer has done with all entries up to this one. Gives back how far it was and is. It never goes back, but from a
    /// place above the newest entry: then the journal is an older copy of the one that the consumer read, or another one.
    ///
    /// [`StoreError::Unknown`] for a cursor above the newest entry.
    async fn acknowledge(
        &self,
        consumer: &str,
        cursor: Cursor,
        reader: ReaderId,
        at: Timestamp,
    ) -> Result<Acknowledged, StoreError>;

    /// How far a consumer is.
    async fn acknowledged(&self, consumer: &str) -> Result<Option<Cursor>, StoreError>;

    /// All consumers, by name; at most [`LIST_LIMIT`](crate::limits::LIST_LIMIT).
    async fn consumers(&self) -> Result<Vec<Consumer>, StoreError>;

    /// Forgets a consumer; `false` when it was not there.
    async fn delete_consumer(&self, consumer: &str) -> Result<bool, StoreError>;
}
