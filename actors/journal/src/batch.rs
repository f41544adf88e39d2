//! Batches of entries, and markers that a gateway causes again and again, as one entry with a count.
//!
//! The first of repeated markers is recorded at once, so that its hole is marked in any case. Its repetitions are counted, and
//! recorded as one entry: before another entry of the gateway, after [`REPEAT_EVERY`], or at the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use windlass_line::routing::{LineEvent, Marker};
use windlass_store::{GatewayUid, NewEntry, limits};

use crate::entry::{RecordedMarker, Stamp, of_marker};

/// Entries of a batch: some milliseconds of work, and a tenth of a second of a gateway that sends 5,000 events a second.
const ENTRIES: usize = 500;
/// Bytes after which a batch is full. The entry that fills it may be the largest that there is: together they are within
/// the limit of one append.
const BYTES: usize = 8 * 1024 * 1024;

const _: () =
    assert!(ENTRIES <= limits::JOURNAL_BATCH && BYTES + limits::JOURNAL_BODY_BYTES <= limits::JOURNAL_BATCH_BYTES);

/// Entries on their way into the journal.
#[derive(Debug, Default)]
pub(crate) struct EntryBatch {
    entries: Vec<NewEntry>,
    bytes: usize,
}

impl EntryBatch {
    pub(crate) fn push(&mut self, entry: NewEntry) {
        self.bytes += entry.body.as_str().len();
        self.entries.push(entry);
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.entries.len() >= ENTRIES || self.bytes >= BYTES
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entries of the next append: all, unless thousands of gateways begin or end together.
    pub(crate) fn head(&self) -> &[NewEntry] {
        &self.entries[..self.entries.len().min(limits::JOURNAL_BATCH)]
    }

    /// Removes the entries of the head.
    pub(crate) fn drop_head(&mut self) {
        let count = self.head().len();
        self.entries.drain(..count);
        self.bytes = self.entries.iter().map(|entry| entry.body.as_str().len()).sum();
    }
}

/// How often a marker that goes on repeating is recorded: six entries a minute, 9,000 a day, 1 MB.
pub(crate) const REPEAT_EVERY: Duration = Duration::from_secs(10);

/// The markers that repeat just now, one a gateway at most.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    open: BTreeMap<GatewayUid, Repeat>,
}

#[derive(Debug)]
struct Repeat {
    kind: RepeatKind,
    /// How often since the last entry; for [`RepeatKind::Lagged`], how many items.
    count: u64,
    stamp: Stamp,
    due: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RepeatKind {
    Unreadable,
    Lagged,
}

/// The treatment of an item.
#[derive(Debug)]
pub(crate) struct RepeatOutcome {
    /// The entry of the markers counted before the item.
    pub(crate) before: Option<NewEntry>,
    /// Whether the item gets an entry of its own.
    pub(crate) is_recorded: bool,
}

impl Repeat {
    fn entry(&self) -> Option<NewEntry> {
        let marker = match self.kind {
            _ if self.count == 0 => return None,
            RepeatKind::Unreadable if self.count == 1 => RecordedMarker::Line(Marker::Unreadable),
            RepeatKind::Unreadable => RecordedMarker::Repeated {
                marker: Marker::Unreadable,
                count: self.count,
            },
            RepeatKind::Lagged => RecordedMarker::Line(Marker::Lagged(self.count)),
        };
        Some(of_marker(&marker, self.stamp))
    }
}

impl Repeats {
    /// Takes an item of a gateway.
    pub(crate) fn take(&mut self, item: &LineEvent, stamp: Stamp, now: Instant) -> RepeatOutcome {
        let repeated = match item.marker() {
            Some(Marker::Unreadable) => Some((RepeatKind::Unreadable, 1)),
            Some(Marker::Lagged(count)) => Some((RepeatKind::Lagged, *count)),
            _ => None,
        };
        if let (Some((kind, count)), Some(open)) = (repeated, self.open.get_mut(&stamp.gateway))
            && open.kind == kind
        {
            open.count = open.count.saturating_add(count);
            open.stamp = stamp;
            return RepeatOutcome {
                before: None,
                is_recorded: false,
            };
        }
        let before = self.close(stamp.gateway);
        if let Some((kind, _)) = repeated {
            let repeat = Repeat {
                kind,
                count: 0,
                stamp,
                due: now + REPEAT_EVERY,
            };
            self.open.insert(stamp.gateway, repeat);
        }
        RepeatOutcome {
            before,
            is_recorded: true,
        }
    }

    /// The entry of the markers counted for a gateway. Another entry of it follows.
    pub(crate) fn close(&mut self, gateway: GatewayUid) -> Option<NewEntry> {
        self.open.remove(&gateway)?.entry()
    }

    /// When to ask [`due`](Self::due) next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.open.values().map(|repeat| repeat.due).min()
    }

    /// The entries that are due. A marker that did not repeat meanwhile is forgotten: the next one is recorded at once.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<NewEntry> {
        let mut entries = Vec::new();
        self.open.retain(|_, repeat| {
            if repeat.due > now {
                return true;
            }
            let Some(entry) = repeat.entry() else {
                return false;
            };
            entries.push(entry);
            (repeat.count, repeat.due) = (0, now + REPEAT_EVERY);
            true
        });
        entries
    }

    /// The entries of all counted markers: the writer ends.
    pub(crate) fn end(&mut self) -> Vec<NewEntry> {
        std::mem::take(&mut self.open)
            .values()
            .filter_map(Repeat::entry)
            .collect()
    }
}

#[cfg(test)]
mod tests;
