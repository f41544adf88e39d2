//! From one parsed event to every subscriber that wants it, and the end of the queue that the subscriber holds.

mod batch;
mod event;
mod filter;
mod queue;

use std::cell::OnceCell;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use windlass_protocol::{EventKeys, GatewayId, SessionKeySpace};

use batch::{BatchBuilder, BatchView};
pub use event::{Event, LineEvent, Marker, Topic};
pub use filter::{CompiledFilter, EventFilter};
pub use queue::{Backlog, Overflow, SlowPolicy, WhenFull};
use queue::{Dequeued, Queue};

use crate::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering};
use crate::telemetry::LineMeter;

/// The subscribers of one line. Outlives its connections.
///
/// Events are collected in a batch, which is delivered when the line has read all available input, before it gives anything else to
/// a receiver, and when enough are there: a subscriber is met once for a batch, and not for each event. So a receiver of
/// an item that came behind an event finds the event in its queue.
///
/// Subscribers come from any thread, so they stand behind a lock; it is held for one delivery (some hundred nanoseconds for
/// each subscriber) and never across an await. Each has a queue of its own, and the router never waits for one.
#[derive(Debug, Default)]
pub(crate) struct Router {
    dispatcher: Mutex<Dispatcher>,
    /// Payloads that were looked into.
    parses: AtomicU64,
    /// The line was closed for good. Changed and read with the subscribers locked.
    closed: AtomicBool,
    meter: LineMeter,
}

/// The subscribers, and the events that are not handed over yet.
#[derive(Debug, Default)]
struct Dispatcher {
    subscribers: Vec<Subscriber>,
    batch: BatchBuilder,
    /// How the gateway spells the keys of its sessions.
    space: SessionKeySpace,
}

/// An event as it came in. All readers of its keys share those that were read first.
pub(crate) struct Incoming<'a> {
    pub(crate) name: &'a str,
    payload: &'a str,
    keys: OnceCell<EventKeys<'a>>,
}

impl<'a> Incoming<'a> {
    pub(crate) const fn new(name: &'a str, payload: &'a str) -> Self {
        Self {
            name,
            payload,
            keys: OnceCell::new(),
        }
    }
}

impl Router {
    pub(crate) fn new(meter: LineMeter) -> Self {
        Self {
            dispatcher: Mutex::default(),
            parses: AtomicU64::default(),
            closed: AtomicBool::default(),
            meter,
        }
    }

    /// The counters of the line.
    pub(crate) const fn meter(&self) -> &LineMeter {
        &self.meter
    }

    pub(crate) fn subscribe(&self, filter: EventFilter, backlog: impl Into<Backlog>) -> Subscription {
        let mut dispatcher = self.lock();
        let (subscriber, subscription) = channel(filter, &dispatcher.space, backlog.into());
        if self.closed.load(Ordering::Relaxed) {
            // Nothing comes any more: it ends at once, as those ended that were there before.
            subscriber.queue.close();
        } else {
            // What came before it is not for it.
            self.deliver(&mut dispatcher);
            dispatcher.subscribers.push(subscriber);
        }
        drop(dispatcher);
        subscription
    }

    /// The gateway spells the keys of its sessions so from here on.
    pub(crate) fn set_key_space(&self, space: SessionKeySpace) {
        let mut dispatcher = self.lock();
        if dispatcher.space == space {
            return;
        }
        // What came before it was spelled as before.
        self.deliver(&mut dispatcher);
        for subscriber in &mut dispatcher.subscribers {
            subscriber.filter.recompile(&space);
        }
        dispatcher.space = space;
    }

    /// Gathers one event, and hands it over at once.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn publish(&self, name: &str, payload: &str, make: impl FnOnce() -> Event) {
        self.enqueue(&Incoming::new(name, payload), make);
        self.flush();
    }

    /// Takes one event, to be handed over soon. `make` builds the shared form and is called only if a subscriber wants it.
    pub(crate) fn enqueue(&self, incoming: &Incoming<'_>, make: impl FnOnce() -> Event) {
        let mut dispatcher = self.lock();
        let wants = |Subscriber { filter, .. }: &Subscriber| {
            filter.wants_name(incoming.name) && (!filter.needs_keys() || filter.wants_keys(self.keys(incoming)))
        };
        if !dispatcher.subscribers.iter().any(wants) {
            return dispatcher.subscribers.retain(Subscriber::is_open);
        }
        dispatcher.batch.add(make(), incoming.keys.get());
        if dispatcher.batch.is_full() {
            self.deliver(&mut dispatcher);
        }
    }

    /// Hands the batch over.
    pub(crate) fn flush(&self) {
        self.deliver(&mut self.lock());
    }

    fn deliver(&self, dispatcher: &mut Dispatcher) {
        let Some(batch) = dispatcher.batch.take() else { return };
        dispatcher.subscribers.retain(|subscriber| {
            let Subscriber { filter, queue } = subscriber;
            match batch.picks(filter, |payload| self.parse(payload)) {
                0 => subscriber.is_open(),
                picks => queue.push(&batch, picks, &self.meter),
            }
        });
    }

    /// The keys of an event, read from its payload at the first request.
    pub(crate) fn keys<'a, 'e>(&self, incoming: &'e Incoming<'a>) -> &'e EventKeys<'a> {
        incoming.keys.get_or_init(|| self.parse(incoming.payload))
    }

    fn parse<'a>(&self, payload: &'a str) -> EventKeys<'a> {
        self.parses.fetch_add(1, Ordering::Relaxed);
        EventKeys::parse(payload)
    }

    /// Gives a marker to each subscriber that it concerns.
    pub(crate) fn mark(&self, marker: &Marker) {
        let topic = match marker {
            Marker::Resynced { what, .. } | Marker::Unsynced { what, .. } => Some(what),
            _ => None,
        };
        // A snapshot may be large, and holding it holds the frame that it came in.
        let bare = match marker {
            Marker::Resynced {
                generation,
                what,
                again,
                ..
            } => Marker::Resynced {
                generation: *generation,
                what: what.clone(),
                snapshot: None,
                again: *again,
            },
            other => other.clone(),
        };
        let mut dispatcher = self.lock();
        self.deliver(&mut dispatcher);
        let Dispatcher { subscribers, space, .. } = &mut *dispatcher;
        subscribers.retain(|subscriber| {
            let Subscriber { filter, queue } = subscriber;
            if !topic.is_none_or(|topic| filter.wants_topic(topic, space)) {
                return subscriber.is_open();
            }
            let marker = if filter.snapshots { marker } else { &bare };
            queue.push_marker(marker.clone(), &self.meter)
        });
    }

    /// Subscriptions that are open.
    pub(crate) fn len(&self) -> usize {
        self.lock().subscribers.iter().filter(|one| one.is_open()).count()
    }

    /// Payloads that were looked into since the line was made: one for each event at most, however many subscribers
    /// filter by its contents.
    pub(crate) fn parses(&self) -> u64 {
        self.parses.load(Ordering::Relaxed)
    }

    /// Ends every subscription: the line is closed for good.
    pub(crate) fn close(&self) {
        let mut dispatcher = self.lock();
        self.deliver(&mut dispatcher);
        self.closed.store(true, Ordering::Relaxed);
        for subscriber in dispatcher.subscribers.drain(..) {
            subscriber.queue.close();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Dispatcher> {
        // Whole after any panic: nothing that panics stands between two steps that belong together.
        self.dispatcher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.close();
    }
}

/// The router's end.
#[derive(Debug)]
struct Subscriber {
    filter: CompiledFilter,
    queue: Arc<Queue>,
}

impl Subscriber {
    /// Whether the subscription is still held. One that was too slow is dropped by the router when it finds out.
    fn is_open(&self) -> bool {
        Arc::strong_count(&self.queue) > 1
    }
}

/// A subscriber's end: a stream of a line's events and markers, in order.
///
/// Ends when the line is closed for good, or when the subscriber was too slow and wanted that. Dropping it unsubscribes.
///
/// ```no_run
/// # async fn example(line: &windlass_line::Line) {
/// use windlass_line::{Backlog, EventFilter};
///
/// let mut events = line.subscribe(EventFilter::all(), Backlog::items(1024));
/// while let Some(item) = events.next().await {
///     println!("{item:?}");
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Subscription {
    queue: Arc<Queue>,
    /// The gateway of these events, where the subscription is that of a line.
    gateway: Option<GatewayId>,
    /// Dequeued from the queue, and not read yet. Comes before all that waits.
    hand: Option<BatchView>,
}

fn channel(filter: EventFilter, space: &SessionKeySpace, backlog: Backlog) -> (Subscriber, Subscription) {
    let queue = Arc::new(Queue::new(backlog));
    let subscriber = Subscriber {
        filter: CompiledFilter::new(filter, space),
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
        let item = match self.next_in_batch() {
            Some(item) => Poll::Ready(Some(item)),
            None => self.poll_queue(cx),
        };
        if item.is_ready() {
            turn.made_progress();
        }
        item
    }

    fn next_in_batch(&mut self) -> Option<LineEvent> {
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
                self.next_in_batch()
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

#[cfg(all(test, windlass_loom))]
mod loom_tests;

#[cfg(test)]
mod tests;
