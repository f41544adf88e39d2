//! The reach of the journal: the arithmetic over cursors that every backend shares.
//!
//! Cursors are counted up by one and batches are whole. Entries are present above the last pruned cursor, up to the newest. Between
//! them entries of a gateway that took more than its share may be gone; a marker stands in their place.

use super::journal::{Appended, Extent, Lost, NewEntry, Page};
use crate::error::StoreError;
use crate::limits;
use crate::values::{Cursor, Timestamp};

/// The state that a journal keeps beside its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The last cursor used.
    pub newest: Cursor,
    /// The last cursor before the oldest entry that is present.
    pub pruned: Cursor,
    /// The size of the entries that are present, in bytes.
    pub bytes: u64,
    /// The number of entries that are present.
    pub entries: u64,
}

/// A range of cursors, `above` not in it, `to` in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The cursor before the first one.
    pub above: Cursor,
    /// The last one.
    pub to: Cursor,
}

impl Reach {
    /// The state of a journal that is about to get its first entry.
    pub fn new(at: Timestamp) -> Self {
        let before = Cursor::before_first(at);
        Self {
            newest: before,
            pruned: before,
            bytes: 0,
            entries: 0,
        }
    }

    /// Appends entries: the cursors that they get.
    pub fn append(&mut self, entries: &[NewEntry]) -> Appended {
        let first = self.newest.advanced(1);
        self.newest = self.newest.advanced(entries.len());
        self.bytes += entries.iter().map(NewEntry::size).sum::<u64>();
        self.entries += entries.len() as u64;
        Appended {
            first,
            last: self.newest,
        }
    }

    /// Prunes a number of entries of a size in bytes. `before_oldest` is the last cursor before the oldest entry that is left.
    pub fn prune(&mut self, entries: u64, bytes: u64, before_oldest: Option<Cursor>) {
        self.entries = self.entries.saturating_sub(entries);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.pruned = before_oldest.unwrap_or(self.newest);
    }

    /// The extent of the journal.
    pub fn extent(self) -> Extent {
        Extent {
            oldest: (self.entries > 0).then(|| self.pruned.advanced(1)),
            newest: Some(self.newest),
            entries: self.entries,
            bytes: self.bytes,
        }
    }

    /// The window of entries for a reader that has read up to `after`, and the entries that it has missed.
    pub fn window(self, after: Option<Cursor>) -> (Window, Option<Lost>) {
        let (above, lost) = match after {
            None => (self.pruned, None),
            Some(after) if after > self.newest => (self.pruned, Some(Lost::OtherJournal)),
            Some(after) if after < self.pruned => {
                let (first, last) = (after.advanced(1), self.pruned);
                (last, Some(Lost::Pruned { first, last }))
            }
            Some(after) => (after, None),
        };
        let to = above.advanced(limits::JOURNAL_SCAN).min(self.newest);
        (Window { above, to }, lost)
    }

    /// Checks that `cursor` is not above the newest entry, and gives the newest.
    pub fn check(reach: Option<Self>, cursor: Cursor) -> Result<Cursor, StoreError> {
        let newest = reach.map(|reach| reach.newest).filter(|newest| cursor <= *newest);
        newest.ok_or_else(|| StoreError::unknown("cursor", cursor))
    }
}

impl Page {
    /// The page of a journal that has no entry yet.
    pub fn of_nothing(after: Option<Cursor>) -> Self {
        Self {
            lost: after.map(|_| Lost::OtherJournal),
            entries: Vec::new(),
            next: None,
            is_end: true,
        }
    }
}

/// The end of a page, by the `sizes` of the entries that the filter takes, in order: the last one that fits, and whether another was
/// left.
pub fn fitting<T: Copy>(sizes: impl Iterator<Item = (T, u64)>, limit: usize, budget: usize) -> (Option<T>, bool) {
    let (mut last, mut total) = (None, 0_u64);
    for (count, (place, size)) in sizes.enumerate() {
        total = total.saturating_add(size);
        if count >= limit || (last.is_some() && total > budget as u64) {
            return (last, true);
        }
        last = Some(place);
    }
    (last, false)
}
