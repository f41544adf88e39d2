//! From one parsed event to every subscriber that wants it.

mod batch;
mod event;
mod filter;
mod queue;

use std::cell::OnceCell;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};

use batch::{BatchBuilder, BatchView};
pub use event::{Event, LineEvent, Marker, Topic};
pub use filter::{CompiledFilter, EventFilter};
use futures_util::Stream;
pub use queue::{Backlog, Overflow, SlowPolicy, WhenFull};
use queue::{Dequeued, Queue};
use windlass_protocol::{EventKeys, GatewayId, SessionKeySpace};

use crate::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering};
use crate::telemetry::LineMeter;

/// The subscribers of one line. Outlives its connections.
///
/// Events are gathered, and handed over when the line has read all available input, before it gives anything else to
/// a receiver, and when enough are there: a subscriber is met once for a batch, and not for each event. So a receiver of
/// an item that came behind an event finds the event in its queue.
///
/// Subscribers come from any thread, so they stand behind a lock; it is held for one fan-out (some hundred nanoseconds for
/// each subscriber) and never across an await. Each has a queue of its own, and the router never waits for one.
#[derive(Debug, Default)]
pub(crate) struct Router {
    fan: Mutex<Dispatcher>,
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
    gathered: BatchBuilder,
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
            fan: Mutex::default(),
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
        let mut fan = self.lock();
        let (subscriber, subscription) = channel(filter, &fan.space, backlog.into());
        if self.closed.load(Ordering::Relaxed) {
            // Nothing comes any more: it ends at once, as those ended that were there before.
            subscriber.queue.close();
        } else {
            // What came before it is not for it.
            self.give(&mut fan);
            fan.subscribers.push(subscriber);
        }
        drop(fan);
        subscription
    }

    /// The gateway spells the keys of its sessions so from here on.
    pub(crate) fn spell(&self, space: SessionKeySpace) {
        let mut fan = self.lock();
        if fan.space == space {
            return;
        }
        // What came before it was spelled as before.
        self.give(&mut fan);
        for subscriber in &mut fan.subscribers {
            subscriber.sieve.respell(&space);
        }
        fan.space = space;
    }

    /// Gathers one event, and hands it over at once.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn publish(&self, name: &str, payload: &str, make: impl FnOnce() -> Event) {
        self.gather(&Incoming::new(name, payload), make);
        self.hand_over();
    }

    /// Takes one event, to be handed over soon. `make` builds the shared form and is called only if a subscriber wants it.
    pub(crate) fn gather(&self, incoming: &Incoming<'_>, make: impl FnOnce() -> Event) {
        let mut fan = self.lock();
        let wants = |Subscriber { sieve, .. }: &Subscriber| {
            sieve.wants_name(incoming.name) && (!sieve.needs_keys() || sieve.wants_keys(self.keys(incoming)))
        };
        if !fan.subscribers.iter().any(wants) {
            return fan.subscribers.retain(Subscriber::is_open);
        }
        fan.gathered.add(make(), incoming.keys.get());
        if fan.gathered.is_full() {
            self.give(&mut fan);
        }
    }

    /// Hands the batch over.
    pub(crate) fn hand_over(&self) {
        self.give(&mut self.lock());
    }

    fn give(&self, fan: &mut Dispatcher) {
        let Some(batch) = fan.gathered.take() else { return };
        fan.subscribers.retain(|subscriber| {
            let Subscriber { sieve, queue } = subscriber;
            match batch.picks(sieve, |payload| self.parse(payload)) {
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
        let mut fan = self.lock();
        self.give(&mut fan);
        let Dispatcher { subscribers, space, .. } = &mut *fan;
        subscribers.retain(|subscriber| {
            let Subscriber { sieve, queue } = subscriber;
            if !topic.is_none_or(|topic| sieve.wants_topic(topic, space)) {
                return subscriber.is_open();
            }
            let marker = if sieve.snapshots { marker } else { &bare };
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
        let mut fan = self.lock();
        self.give(&mut fan);
        self.closed.store(true, Ordering::Relaxed);
        for subscriber in fan.subscribers.drain(..) {
            subscriber.queue.close();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Dispatcher> {
        // Whole after any panic: nothing that panics stands between two steps that belong together.
        self.fan.lock().unwrap_or_else(PoisonError::into_inner)
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
    sieve: CompiledFilter,
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

#[cfg(all(test, windlass_loom))]
mod loom_tests;

#[cfg(test)]
mod tests;
