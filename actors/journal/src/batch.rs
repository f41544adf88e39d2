//! What is appended at once.

use windlass_store::{NewEntry, limits};

/// Entries of a batch: some milliseconds of work, and a tenth of a second of a gateway that sends 5,000 events a second.
const ENTRIES: usize = 500;
/// Bytes after which a batch is full. The entry that fills it may be the largest that there is: together they are within
/// what the journal takes at once.
const BYTES: usize = 8 * 1024 * 1024;

const _: () =
    assert!(ENTRIES <= limits::JOURNAL_BATCH && BYTES + limits::JOURNAL_BODY_BYTES <= limits::JOURNAL_BATCH_BYTES);

/// Entries on their way into the journal.
#[derive(Debug, Default)]
pub(super) struct Batch {
    entries: Vec<NewEntry>,
    bytes: usize,
}

impl Batch {
    pub(super) fn push(&mut self, entry: NewEntry) {
        self.bytes += entry.body.as_str().len();
        self.entries.push(entry);
    }

    pub(super) const fn is_full(&self) -> bool {
        self.entries.len() >= ENTRIES || self.bytes >= BYTES
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// As many as are appended at once: all, but where thousands of gateways begin or end together.
    pub(super) fn head(&self) -> &[NewEntry] {
        &self.entries[..self.entries.len().min(limits::JOURNAL_BATCH)]
    }

    /// Those of the head are done with.
    pub(super) fn drop_head(&mut self) {
        let count = self.head().len();
        self.entries.drain(..count);
        self.bytes = self.entries.iter().map(|entry| entry.body.as_str().len()).sum();
    }
}
