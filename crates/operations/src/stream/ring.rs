//! The latest entries of a source, shared by all viewers that are not behind.

use std::collections::VecDeque;
use std::sync::Arc;

/// Most entries that one look takes: a viewer holds so many at most.
pub(crate) const BATCH: usize = 256;
/// Most bytes that one look takes, after its first entry.
const BATCH_BYTES: usize = 1024 * 1024;

/// An entry with its position, in a shared form.
#[derive(Debug)]
pub(crate) struct Positioned<P, T> {
    pub(crate) position: P,
    pub(crate) bytes: usize,
    pub(crate) value: T,
}

/// Entries in order, without a hole from `floor` on.
#[derive(Debug)]
pub(crate) struct Ring<P, T> {
    /// All entries after this position are here; `None` while that can't be said.
    floor: Option<P>,
    entries: VecDeque<Arc<Positioned<P, T>>>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
}

impl<P: Ord + Copy, T> Ring<P, T> {
    /// An empty ring with its bounds.
    pub(crate) const fn new(most: usize, most_bytes: usize) -> Self {
        Self {
            floor: None,
            entries: VecDeque::new(),
            bytes: 0,
            most,
            most_bytes,
        }
    }

    /// Begins anew after this position; nothing is here without one.
    pub(crate) fn begin(&mut self, floor: Option<P>) {
        self.floor = floor;
        self.entries.clear();
        self.bytes = 0;
    }

    /// Adds the next entry. The earliest ones go where there are too many.
    pub(crate) fn push(&mut self, position: P, bytes: usize, value: T) {
        if self.floor.is_none() {
            return;
        }
        self.bytes += bytes;
        self.entries.push_back(Arc::new(Positioned { position, bytes, value }));
        while self.entries.len() > self.most || self.bytes > self.most_bytes {
            let Some(gone) = self.entries.pop_front() else { return };
            self.bytes -= gone.bytes;
            self.floor = Some(gone.position);
        }
    }

    /// The entries after a position, a batch of them; `None` for a viewer that is behind the ring.
    pub(crate) fn after(&self, position: P) -> Option<Vec<Arc<Positioned<P, T>>>> {
        if self.floor.is_none_or(|floor| position < floor) {
            return None;
        }
        let first = self.entries.partition_point(|entry| entry.position <= position);
        let mut bytes = 0;
        let fits = |entry: &&Arc<Positioned<P, T>>| {
            let is_first = bytes == 0;
            bytes += entry.bytes.max(1);
            is_first || bytes <= BATCH_BYTES
        };
        Some(
            self.entries
                .range(first..)
                .take(BATCH)
                .take_while(fits)
                .cloned()
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(ring: &Ring<u32, ()>, after: u32) -> Option<Vec<u32>> {
        let batch = ring.after(after)?;
        Some(batch.iter().map(|entry| entry.position).collect())
    }

    #[test]
    fn a_ring_gives_what_comes_after_a_position_and_tells_one_that_is_behind() {
        let mut ring = Ring::new(3, 1000);
        ring.push(1, 1, ());
        assert_eq!(positions(&ring, 1), None, "nothing is known before it begins");
        ring.begin(Some(10));
        for position in 11..=15 {
            ring.push(position, 1, ());
        }
        assert_eq!(positions(&ring, 13), Some(vec![14, 15]));
        assert_eq!(positions(&ring, 12), Some(vec![13, 14, 15]));
        assert_eq!(positions(&ring, 11), None, "12 is gone");
    }

    #[test]
    fn a_ring_is_bounded_in_bytes() {
        let mut ring = Ring::new(100, 10);
        ring.begin(Some(0));
        ring.push(1, 8, ());
        ring.push(2, 8, ());
        assert_eq!(positions(&ring, 1), Some(vec![2]));
        assert_eq!(positions(&ring, 0), None);
        ring.push(3, 80, ());
        assert_eq!(
            positions(&ring, 3),
            Some(vec![]),
            "one that fits nowhere is read from the store"
        );
        assert_eq!(positions(&ring, 2), None);
    }

    #[test]
    fn a_batch_has_a_large_entry_alone() {
        let mut ring = Ring::new(100, usize::MAX);
        ring.begin(Some(0));
        for position in 1..=3 {
            ring.push(position, BATCH_BYTES, ());
        }
        assert_eq!(positions(&ring, 0), Some(vec![1]));
    }
}
