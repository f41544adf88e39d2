//! The queue of one subscriber: bounded, with a marker for each loss.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use super::backlog::{Backlog, Overflow, SlowPolicy, WhenFull};
use super::batch::{Batch, BatchView};
use super::{Event, Marker};
use crate::sync::{Mutex, MutexGuard};
use crate::telemetry::LineMeter;

/// The most that a reader takes at once, in bytes of payloads, unless it is a single event. Items that it has taken do not
/// wait any more: they count against no bound.
const READ_CHUNK: usize = 64 * 1024;

/// The queue of one subscriber.
#[derive(Debug)]
pub(super) struct Queue {
    items: usize,
    bytes: usize,
    when_full: WhenFull,
    waiting: Mutex<Waiting>,
}

/// The items that a reader takes from its queue.
#[derive(Debug)]
pub(super) enum Dequeued {
    Event(Arc<Event>),
    Events(BatchView),
    Marker(Box<Marker>),
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    /// Events and markers in all entries.
    items: usize,
    /// Their weight.
    bytes: usize,
    /// Dropped from the head since the last look.
    dropped: u64,
    end: Option<End>,
    reader: Option<Waker>,
}

/// The items that were put in at once.
#[derive(Debug)]
enum Entry {
    /// At least one event.
    Events { picked: BatchView, bytes: usize },
    /// In a box: a marker is several times as large as the other items of a queue.
    Marker { marker: Box<Marker>, bytes: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The line is closed, or the end was told already.
    Closed,
    /// The subscriber was too slow, and is still to be told.
    TooSlow,
    /// The subscriber went away.
    Gone,
}

impl Queue {
    pub(super) fn new(backlog: Backlog) -> Self {
        let (more, when_full) = match backlog.slow {
            SlowPolicy::DropOldest => (Overflow { items: 0, bytes: 0 }, WhenFull::DropOldest),
            SlowPolicy::Disconnect => (Overflow { items: 0, bytes: 0 }, WhenFull::Disconnect),
            SlowPolicy::Block { overflow, then } => (overflow, then),
        };
        Self {
            items: backlog.items.max(1).saturating_add(more.items),
            bytes: backlog.bytes.saturating_add(more.bytes),
            when_full,
            waiting: Mutex::default(),
        }
    }

    /// Takes the events of a batch that were picked, one at least; `false` when the reader is gone.
    pub(super) fn push(&self, batch: &Batch, picks: u64, meter: &LineMeter) -> bool {
        self.put(meter, |waiting| {
            let fit = match self.when_full {
                WhenFull::Disconnect => self.first_that_fit(waiting, batch, picks),
                // All of them; then the oldest go.
                WhenFull::DropOldest => picks,
            };
            if fit != picks {
                waiting.end = Some(End::TooSlow);
            }
            waiting.append_picks(batch, fit);
        })
    }

    /// As [`push`](Self::push).
    pub(super) fn push_marker(&self, marker: Marker, meter: &LineMeter) -> bool {
        let bytes = marker.weight();
        self.put(meter, |waiting| {
            let fits = waiting.items == 0 || self.holds(waiting.items + 1, waiting.bytes + bytes);
            if self.when_full == WhenFull::Disconnect && !fits {
                waiting.end = Some(End::TooSlow);
            } else {
                let marker = Box::new(marker);
                waiting.append(1, Entry::Marker { marker, bytes });
            }
        })
    }

    fn put(&self, meter: &LineMeter, append: impl FnOnce(&mut Waiting)) -> bool {
        let mut waiting = self.lock();
        if waiting.end.is_some() {
            return false;
        }
        append(&mut waiting);
        let dropped = self.drop_oldest(&mut waiting);
        let (open, reader) = (waiting.end.is_none(), waiting.reader.take());
        drop(waiting);
        if dropped > 0 {
            meter.lagged(dropped);
        }
        if let Some(reader) = reader {
            reader.wake();
        }
        open
    }

    const fn holds(&self, items: usize, bytes: usize) -> bool {
        items <= self.items && bytes <= self.bytes
    }

    /// Of the events picked, the first ones: as many as there is room for. A large one may wait alone.
    fn first_that_fit(&self, waiting: &Waiting, batch: &Batch, mut picks: u64) -> u64 {
        if self.holds(
            waiting.items + picks.count_ones() as usize,
            waiting.bytes + batch.weight(picks),
        ) {
            return picks;
        }
        let (mut items, mut bytes, mut fit) = (waiting.items, waiting.bytes, 0);
        while picks != 0 {
            let first = picks & picks.wrapping_neg();
            (items, bytes) = (items + 1, bytes + batch.weight(first));
            if items > 1 && !self.holds(items, bytes) {
                break;
            }
            fit |= first;
            picks ^= first;
        }
        fit
    }

    /// Makes room where more waits than may; the newest item stays, however large. Returns how many went.
    fn drop_oldest(&self, waiting: &mut Waiting) -> u64 {
        let mut dropped = 0;
        while waiting.items > 1 && !self.holds(waiting.items, waiting.bytes) {
            drop(waiting.take_one());
            dropped += 1;
        }
        waiting.dropped += dropped;
        dropped
    }

    /// The next item; `None` at the end.
    pub(super) fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Dequeued>> {
        let mut waiting = self.lock();
        if waiting.dropped > 0 {
            let dropped = std::mem::take(&mut waiting.dropped);
            return Poll::Ready(Some(Dequeued::Marker(Box::new(Marker::Lagged(dropped)))));
        }
        if let Some(taken) = waiting.take() {
            return Poll::Ready(Some(taken));
        }
        match waiting.end {
            Some(End::TooSlow) => {
                waiting.end = Some(End::Closed);
                Poll::Ready(Some(Dequeued::Marker(Box::new(Marker::TooSlow))))
            }
            Some(_) => Poll::Ready(None),
            None => {
                match &mut waiting.reader {
                    Some(reader) => reader.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }

    /// No more items come; waiting ones can still be read.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.end.get_or_insert(End::Closed);
        let reader = waiting.reader.take();
        drop(waiting);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The reader is gone.
    pub(super) fn abandon(&self) {
        let mut waiting = self.lock();
        waiting.end = Some(End::Gone);
        waiting.reader = None;
        (waiting.items, waiting.bytes) = (0, 0);
        // Dropped outside of the lock: what waits may be large.
        let entries = std::mem::take(&mut waiting.entries);
        drop(waiting);
        drop(entries);
    }

    /// Items that wait.
    #[cfg(all(test, windlass_loom))]
    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here panics between two steps that belong together.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn append_picks(&mut self, batch: &Batch, picks: u64) {
        if picks != 0 {
            let (picked, bytes) = (batch.pick(picks), batch.weight(picks));
            self.append(picked.len(), Entry::Events { picked, bytes });
        }
    }

    fn append(&mut self, items: usize, entry: Entry) {
        self.items += items;
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
    }

    /// The first entry, where a reader may take all of it in hand; else its first event.
    fn take(&mut self) -> Option<Dequeued> {
        match self.entries.front()? {
            Entry::Events { picked, bytes } if picked.len() > 1 && *bytes <= READ_CHUNK => {}
            _ => return self.take_one(),
        }
        let Some(Entry::Events { picked, bytes }) = self.entries.pop_front() else {
            return None;
        };
        self.items -= picked.len();
        self.bytes -= bytes;
        Some(Dequeued::Events(picked))
    }

    /// The event or marker that waits longest.
    fn take_one(&mut self) -> Option<Dequeued> {
        let entry = self.entries.front_mut()?;
        self.items -= 1;
        if let Entry::Events { picked, bytes } = entry
            && picked.len() > 1
            && let Some(event) = picked.next()
        {
            *bytes -= event.weight();
            self.bytes -= event.weight();
            return Some(Dequeued::Event(event));
        }
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.bytes();
        match entry {
            Entry::Events { mut picked, .. } => picked.next().map(Dequeued::Event),
            Entry::Marker { marker, .. } => Some(Dequeued::Marker(marker)),
        }
    }
}

impl Entry {
    const fn bytes(&self) -> usize {
        match self {
            Self::Events { bytes, .. } | Self::Marker { bytes, .. } => *bytes,
        }
    }
}
