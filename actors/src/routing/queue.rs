//! What waits for one subscriber: bounded, and honest about what it drops.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{LineEvent, Marker};
use crate::telemetry::LineMeter;

/// What happens when a subscriber is slower than its gateway. The line reads on in any case: a subscriber delays neither
/// the line nor another subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SlowPolicy {
    /// What waits longest is dropped, and counted: [`Marker::Lagged`] stands where it was. For those who want to be up to
    /// date.
    #[default]
    DropOldest,
    /// Nothing is lost while no more waits than the queue and this overflow hold, as if the gateway were made to wait for the
    /// subscriber. It is not: a gateway closes a client that does not read, and others read the same line. So what waits
    /// is kept here, and when that is full, `then` follows. For those who must have everything and are slow at times.
    Block {
        /// Kept beyond the queue.
        overflow: Overflow,
        /// What follows when that is full.
        then: WhenFull,
    },
    /// The stream ends: with what waits in it, then [`Marker::TooSlow`]. For those who would rather start again than go on
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

/// What follows a full overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// As [`SlowPolicy::DropOldest`].
    #[default]
    DropOldest,
    /// As [`SlowPolicy::Disconnect`].
    Disconnect,
}

/// How much waits for a subscriber, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Events and markers that wait at most; 1 at least.
    pub items: usize,
    /// Bytes of their payloads that wait at most. A single item may be larger: it waits alone then.
    pub bytes: usize,
    /// What follows when more would wait.
    pub slow: SlowPolicy,
}

impl Backlog {
    /// 64 MiB: more than two of the largest frames that a gateway sends (25 MiB), and the bound on what a thousand ordinary
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

/// The queue of one subscriber.
#[derive(Debug)]
pub(super) struct Queue {
    items: usize,
    bytes: usize,
    when_full: WhenFull,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    items: VecDeque<LineEvent>,
    bytes: usize,
    /// Dropped from the head since the last look.
    dropped: u64,
    end: Option<End>,
    reader: Option<Waker>,
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

    /// Takes one item; `false` when nobody takes any more.
    pub(super) fn push(&self, item: LineEvent, meter: &LineMeter) -> bool {
        let mut waiting = self.lock();
        if waiting.end.is_some() {
            return false;
        }
        let weight = item.weight();
        let fits = |waiting: &Waiting| {
            waiting.items.is_empty()
                || (waiting.items.len() < self.items && waiting.bytes.saturating_add(weight) <= self.bytes)
        };
        if self.when_full == WhenFull::Disconnect && !fits(&waiting) {
            waiting.end = Some(End::TooSlow);
        } else {
            while !fits(&waiting) {
                waiting.pop();
                waiting.dropped += 1;
                meter.lagged(1);
            }
            waiting.bytes += weight;
            waiting.items.push_back(item);
        }
        let (open, reader) = (waiting.end.is_none(), waiting.reader.take());
        drop(waiting);
        if let Some(reader) = reader {
            reader.wake();
        }
        open
    }

    /// The next item; `None` at the end.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<LineEvent>> {
        let mut waiting = self.lock();
        if waiting.dropped > 0 {
            let dropped = std::mem::take(&mut waiting.dropped);
            return Poll::Ready(Some(LineEvent::Marker(Marker::Lagged(dropped))));
        }
        if let Some(item) = waiting.pop() {
            return Poll::Ready(Some(item));
        }
        match waiting.end {
            Some(End::TooSlow) => {
                waiting.end = Some(End::Closed);
                Poll::Ready(Some(LineEvent::Marker(Marker::TooSlow)))
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

    /// Nothing comes any more; what waits can still be read.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.end.get_or_insert(End::Closed);
        let reader = waiting.reader.take();
        drop(waiting);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Nobody reads any more.
    pub(super) fn abandon(&self) {
        let mut waiting = self.lock();
        waiting.end = Some(End::Gone);
        waiting.reader = None;
        waiting.bytes = 0;
        // Dropped outside of the lock: what waits may be large.
        let items = std::mem::take(&mut waiting.items);
        drop(waiting);
        drop(items);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here panics between two steps that belong together.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn pop(&mut self) -> Option<LineEvent> {
        let item = self.items.pop_front()?;
        self.bytes -= item.weight();
        Some(item)
    }
}
