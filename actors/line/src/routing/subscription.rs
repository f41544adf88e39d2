//! A subscriber's end of its queue.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use windlass_protocol::{GatewayId, SessionKeySpace};

use super::backlog::Backlog;
use super::batch::BatchView;
use super::queue::{Dequeued, Queue};
use super::{EventFilter, LineEvent, filter::CompiledFilter};

/// The router's end.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) sieve: CompiledFilter,
    pub(super) queue: Arc<Queue>,
}

impl Subscriber {
    /// Whether the subscription is still held. One that was too slow is dropped by the router when it finds out.
    pub(super) fn is_open(&self) -> bool {
        Arc::strong_count(&self.queue) > 1
    }
}

/// A subscriber's end: a stream of a line's events and markers, in order.
///
/// Ends when the line is closed for good, or when the subscriber was too slow and wanted that. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    queue: Arc<Queue>,
    /// The gateway of these events, where the subscription is that of a line.
    gateway: Option<GatewayId>,
    /// Dequeued from the queue, and not read yet. Comes before all that waits.
    hand: Option<BatchView>,
}

pub(super) fn channel(filter: EventFilter, space: &SessionKeySpace, backlog: Backlog) -> (Subscriber, Subscription) {
    let queue = Arc::new(Queue::new(backlog));
    let subscriber = Subscriber {
        sieve: CompiledFilter::new(filter, space),
        queue: Arc::clone(&queue),
    };
    let subscription = Subscription {
        queue,
        gateway: None,
        hand: None,
    };
    (subscriber, subscription)
}

impl Subscription {
    pub(crate) fn of(mut self, gateway: &GatewayId) -> Self {
        self.gateway = Some(gateway.clone());
        self
    }

    /// The gateway of these events. Streams of several gateways are told apart by it:
    ///
    /// ```no_run
    /// # use futures_util::StreamExt as _;
    /// # fn example(streams: Vec<windlass_line::routing::Subscription>) {
    /// let all = futures_util::stream::select_all(streams.into_iter().map(|events| {
    ///     let gateway = events.gateway().cloned();
    ///     events.map(move |item| (gateway.clone(), item))
    /// }));
    /// # drop(all);
    /// # }
    /// ```
    pub const fn gateway(&self) -> Option<&GatewayId> {
        self.gateway.as_ref()
    }

    /// The next event or marker; `None` when none comes any more.
    ///
    /// ## Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<LineEvent> {
        std::future::poll_fn(|cx| self.poll_item(cx)).await
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<LineEvent>> {
        // A queue that never runs dry must not keep a thread from its other tasks.
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        let item = match self.in_hand() {
            Some(item) => Poll::Ready(Some(item)),
            None => self.poll_queue(cx),
        };
        if item.is_ready() {
            turn.made_progress();
        }
        item
    }

    fn in_hand(&mut self) -> Option<LineEvent> {
        let hand = self.hand.as_mut()?;
        let event = hand.next();
        if hand.len() == 0 {
            // So that nothing that was read is held on to.
            self.hand = None;
        }
        event.map(LineEvent::Event)
    }

    fn poll_queue(&mut self, cx: &Context<'_>) -> Poll<Option<LineEvent>> {
        Poll::Ready(match ready!(self.queue.poll_next(cx)) {
            None => None,
            Some(Dequeued::Event(event)) => Some(LineEvent::Event(event)),
            Some(Dequeued::Marker(marker)) => Some(LineEvent::Marker(marker)),
            Some(Dequeued::Events(picked)) => {
                self.hand = Some(picked);
                self.in_hand()
            }
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.queue.abandon();
    }
}

impl Stream for Subscription {
    type Item = LineEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx)
    }
}
