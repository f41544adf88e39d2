//! The queue between the router and one subscriber: bounded, and honest about what it drops.
//!
//! When the queue is full, new items are dropped and counted. The count travels with the next item that fits, or is
//! found by the subscriber when it has read everything, so that a loss is always told at its place.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::mpsc;

use super::{EventFilter, LineEvent, Marker};

/// An item, and how many were dropped just before it.
struct Queued {
    dropped_before: u64,
    item: LineEvent,
}

/// The router's end.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) filter: EventFilter,
    queue: mpsc::Sender<Queued>,
    dropped: Arc<AtomicU64>,
}

/// A subscriber's end: a stream of a line's events and markers, in order.
///
/// Ends when the line is closed for good. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    queue: mpsc::Receiver<Queued>,
    dropped: Arc<AtomicU64>,
    /// The item that a `Lagged` marker was put in front of.
    after_lag: Option<LineEvent>,
}

pub(super) fn channel(filter: EventFilter, capacity: usize) -> (Subscriber, Subscription) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    let dropped = Arc::new(AtomicU64::new(0));
    let subscriber = Subscriber {
        filter,
        queue: sender,
        dropped: Arc::clone(&dropped),
    };
    (
        subscriber,
        Subscription {
            queue: receiver,
            dropped,
            after_lag: None,
        },
    )
}

impl Subscriber {
    /// Puts an item into the queue or counts it as dropped; `false` when nobody listens any more.
    pub(super) fn deliver(&mut self, item: LineEvent) -> bool {
        let permit = match self.queue.try_reserve() {
            Ok(permit) => permit,
            Err(mpsc::error::TrySendError::Full(())) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return true;
            }
            Err(mpsc::error::TrySendError::Closed(())) => return false,
        };
        let dropped_before = self.dropped.swap(0, Ordering::Relaxed);
        permit.send(Queued { dropped_before, item });
        true
    }

    pub(super) fn is_open(&self) -> bool {
        !self.queue.is_closed()
    }
}

impl Subscription {
    /// The next event or marker; `None` when the line is closed for good.
    ///
    /// ## Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<LineEvent> {
        std::future::poll_fn(|cx| self.poll_item(cx)).await
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<LineEvent>> {
        if let Some(item) = self.after_lag.take() {
            return Poll::Ready(Some(item));
        }
        match self.queue.poll_recv(cx) {
            Poll::Ready(Some(Queued {
                dropped_before: 0,
                item,
            })) => Poll::Ready(Some(item)),
            Poll::Ready(Some(Queued { dropped_before, item })) => {
                self.after_lag = Some(item);
                Poll::Ready(Some(lagged(dropped_before)))
            }
            // Everything is read: what was dropped since belongs here.
            end => match self.dropped.swap(0, Ordering::Relaxed) {
                0 => end.map(|_| None),
                dropped => Poll::Ready(Some(lagged(dropped))),
            },
        }
    }
}

const fn lagged(dropped: u64) -> LineEvent {
    LineEvent::Marker(Marker::Lagged(dropped))
}

impl Stream for Subscription {
    type Item = LineEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx)
    }
}
