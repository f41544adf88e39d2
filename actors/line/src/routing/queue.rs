//! The queue of one subscriber: bounded, with a marker for each loss.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::routing::batch::{Batch, BatchView};
use crate::routing::{Event, Marker};
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
    waiting: Mutex<QueueState>,
}

/// The items that a reader takes from its queue.
#[derive(Debug)]
pub(super) enum Dequeued {
    Event(Arc<Event>),
    Events(BatchView),
    Marker(Box<Marker>),
}

#[derive(Debug, Default)]
struct QueueState {
    entries: VecDeque<QueueEntry>,
    /// Events and markers in all entries.
    items: usize,
    /// Their weight.
    bytes: usize,
    /// Dropped from the head since the last look.
    dropped: u64,
    end: Option<QueueEnd>,
    reader: Option<Waker>,
}

/// The items that were put in at once.
#[derive(Debug)]
enum QueueEntry {
    /// At least one event.
    Events { picked: BatchView, bytes: usize },
    /// In a box: a marker is several times as large as the other items of a queue.
    Marker { marker: Box<Marker>, bytes: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QueueEnd {
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
        self.append_with(meter, |waiting| {
            let fit = match self.when_full {
                WhenFull::Disconnect => self.first_that_fit(waiting, batch, picks),
                // All of them; then the oldest go.
                WhenFull::DropOldest => picks,
            };
            if fit != picks {
                waiting.end = Some(QueueEnd::TooSlow);
            }
            waiting.append_picks(batch, fit);
        })
    }

    /// As [`push`](Self::push).
    pub(super) fn push_marker(&self, marker: Marker, meter: &LineMeter) -> bool {
        let bytes = marker.weight();
        self.append_with(meter, |waiting| {
            let fits = waiting.items == 0 || self.holds(waiting.items + 1, waiting.bytes + bytes);
            if self.when_full == WhenFull::Disconnect && !fits {
                waiting.end = Some(QueueEnd::TooSlow);
            } else {
                let marker = Box::new(marker);
                waiting.append(1, QueueEntry::Marker { marker, bytes });
            }
        })
    }

    fn append_with(&self, meter: &LineMeter, append: impl FnOnce(&mut QueueState)) -> bool {
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
    fn first_that_fit(&self, waiting: &QueueState, batch: &Batch, mut picks: u64) -> u64 {
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
    fn drop_oldest(&self, waiting: &mut QueueState) -> u64 {
        let mut dropped = 0;
        while waiting.items > 1 && !self.holds(waiting.items, waiting.bytes) {
            drop(waiting.pop_one());
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
        if let Some(taken) = waiting.pop() {
            return Poll::Ready(Some(taken));
        }
        match waiting.end {
            Some(QueueEnd::TooSlow) => {
                waiting.end = Some(QueueEnd::Closed);
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
        waiting.end.get_or_insert(QueueEnd::Closed);
        let reader = waiting.reader.take();
        drop(waiting);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The reader is gone.
    pub(super) fn abandon(&self) {
        let mut waiting = self.lock();
        waiting.end = Some(QueueEnd::Gone);
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

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // Nothing in here panics between two steps that belong together.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn append_picks(&mut self, batch: &Batch, picks: u64) {
        if picks != 0 {
            let (picked, bytes) = (batch.pick(picks), batch.weight(picks));
            self.append(picked.len(), QueueEntry::Events { picked, bytes });
        }
    }

    fn append(&mut self, items: usize, entry: QueueEntry) {
        self.items += items;
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
    }

    /// The first entry, where a reader may take all of it in hand; else its first event.
    fn pop(&mut self) -> Option<Dequeued> {
        match self.entries.front()? {
            QueueEntry::Events { picked, bytes } if picked.len() > 1 && *bytes <= READ_CHUNK => {}
            _ => return self.pop_one(),
        }
        let Some(QueueEntry::Events { picked, bytes }) = self.entries.pop_front() else {
            return None;
        };
        self.items -= picked.len();
        self.bytes -= bytes;
        Some(Dequeued::Events(picked))
    }

    /// The event or marker that waits longest.
    fn pop_one(&mut self) -> Option<Dequeued> {
        let entry = self.entries.front_mut()?;
        self.items -= 1;
        if let QueueEntry::Events { picked, bytes } = entry
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
            QueueEntry::Events { mut picked, .. } => picked.next().map(Dequeued::Event),
            QueueEntry::Marker { marker, .. } => Some(Dequeued::Marker(marker)),
        }
    }
}

impl QueueEntry {
    const fn bytes(&self) -> usize {
        match self {
            Self::Events { bytes, .. } | Self::Marker { bytes, .. } => *bytes,
        }
    }
}

/// The policy for a subscriber that is slower than its gateway. The line reads on in any case: a subscriber delays neither
/// the line nor another subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SlowPolicy {
    /// The oldest items are dropped, and counted: [`Marker::Lagged`](crate::routing::Marker::Lagged) stands in their place. For readers that want to be up to
    /// date.
    #[default]
    DropOldest,
    /// Nothing is lost while the waiting items fit into the queue and this overflow, as if the gateway were made to wait for the
    /// subscriber. It is not: a gateway closes a client that does not read, and others read the same line. So waiting items
    /// are kept here, and when that is full, `then` follows. For readers that must have everything and are slow at times.
    Block {
        /// Kept beyond the queue.
        overflow: Overflow,
        /// The policy when that is full.
        then: WhenFull,
    },
    /// The stream ends: with its waiting items, then [`Marker::TooSlow`](crate::routing::Marker::TooSlow). For readers that would rather start again than go on
    /// with a hole.
    Disconnect,
}

/// How much is kept for a subscriber under [`SlowPolicy::Block`], beyond its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow {
    /// Events and markers.
    pub items: usize,
    /// Bytes of their payloads.
    pub bytes: usize,
}

impl Overflow {
    /// 64 k items: a minute of a gateway that streams a thousand events a second to a subscriber that does not read at all.
    pub const ITEMS: usize = 65_536;
    /// 64 MiB: more than two of the largest frames that a gateway sends.
    pub const BYTES: usize = 64 * 1024 * 1024;
}

impl Default for Overflow {
    fn default() -> Self {
        Self {
            items: Self::ITEMS,
            bytes: Self::BYTES,
        }
    }
}

/// The policy for a full overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// As [`SlowPolicy::DropOldest`].
    #[default]
    DropOldest,
    /// As [`SlowPolicy::Disconnect`].
    Disconnect,
}

/// How much waits for a subscriber, and the policy for more.
///
/// Items that the reader has taken do not wait any more: at most 64 events that came together, and 64 KiB of them. An event that
/// waits may hold on to others that came with it, of no more weight than those that the subscriber picked. It holds on to nothing of
/// the frames that it came among, but for the slack of its own where that is over 16 KiB long.
///
/// ```
/// use windlass_line::{Backlog, Overflow, SlowPolicy, WhenFull};
///
/// // A dashboard wants to be up to date, an audit wants everything or a clear end.
/// let dashboard = Backlog::items(256);
/// let audit = Backlog::items(1024).slow(SlowPolicy::Block {
///     overflow: Overflow::default(),
///     then: WhenFull::Disconnect,
/// });
/// assert_eq!((dashboard.slow, audit.bytes), (SlowPolicy::DropOldest, Backlog::BYTES));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Events and markers that wait at most; 1 at least.
    pub items: usize,
    /// Bytes of their payloads that wait at most. A single item may be larger: it waits alone then.
    pub bytes: usize,
    /// The policy for more.
    pub slow: SlowPolicy,
}

impl Backlog {
    /// 64 MiB: more than two of the largest frames that a gateway sends (25 MiB), and the bound on the memory that a thousand ordinary
    /// events could hold on to.
    pub const BYTES: usize = 64 * 1024 * 1024;

    /// So many items, [`BYTES`](Self::BYTES), and the oldest dropped when more would wait.
    pub const fn items(items: usize) -> Self {
        Self {
            items,
            bytes: Self::BYTES,
            slow: SlowPolicy::DropOldest,
        }
    }

    /// Something else follows when more would wait.
    pub const fn slow(mut self, slow: SlowPolicy) -> Self {
        self.slow = slow;
        self
    }
}

impl From<usize> for Backlog {
    fn from(items: usize) -> Self {
        Self::items(items)
    }
}
