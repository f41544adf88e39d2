//! From one parsed event to every subscriber that wants it.

mod event;
mod filter;
mod json;
mod queue;
mod subscription;
mod topic;

use std::cell::OnceCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use event::{Event, LineEvent, Marker};
pub use filter::EventFilter;
pub(crate) use filter::Sieve;
pub use queue::{Backlog, Overflow, SlowPolicy, WhenFull};
use subscription::Subscriber;
pub use subscription::Subscription;
pub use topic::Topic;
use windlass_protocol::EventKeys;

use crate::telemetry::LineMeter;

/// The subscribers of one line. Outlives its connections.
///
/// Subscribers come from any thread, so they stand behind a lock; it is held for one fan-out (some ten nanoseconds for
/// each subscriber) and never across an await. Each has a queue of its own, and the router never waits for one.
#[derive(Debug, Default)]
pub(crate) struct Router {
    subscribers: Mutex<Vec<Subscriber>>,
    /// Payloads that were looked into.
    parses: AtomicU64,
    /// The line was closed for good. Changed and read with the subscribers locked.
    closed: AtomicBool,
    meter: LineMeter,
}

/// An event as it came in. Whoever wants its keys gets those that were read first.
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
            subscribers: Mutex::default(),
            parses: AtomicU64::default(),
            closed: AtomicBool::default(),
            meter,
        }
    }

    /// What is counted of the line.
    pub(crate) const fn meter(&self) -> &LineMeter {
        &self.meter
    }

    pub(crate) fn subscribe(&self, filter: EventFilter, backlog: impl Into<Backlog>) -> Subscription {
        let (subscriber, subscription) = subscription::channel(filter, backlog.into());
        let mut subscribers = self.lock();
        if self.closed.load(Ordering::Relaxed) {
            // Nothing comes any more: it ends at once, as those ended that were there before.
            subscriber.queue.close();
        } else {
            subscribers.push(subscriber);
        }
        drop(subscribers);
        subscription
    }

    /// As [`hand_out`](Self::hand_out), for an event that nobody else looks at.
    #[cfg(test)]
    pub(crate) fn publish(&self, name: &str, payload: &str, make: impl FnOnce() -> Event) {
        self.hand_out(&Incoming::new(name, payload), make);
    }

    /// Hands out one event. `make` builds the shared form and is called only if somebody wants it.
    pub(crate) fn hand_out(&self, incoming: &Incoming<'_>, make: impl FnOnce() -> Event) {
        let mut subscribers = self.lock();
        let (mut make, mut shared) = (Some(make), None);
        subscribers.retain(|subscriber| {
            let Subscriber { sieve, queue } = subscriber;
            if !sieve.wants_name(incoming.name) || (sieve.needs_keys() && !sieve.wants_keys(self.keys(incoming))) {
                return subscriber.is_open();
            }
            let event = shared.get_or_insert_with(|| Arc::new(make.take().expect("made once")()));
            queue.push(LineEvent::Event(Arc::clone(event)), &self.meter)
        });
    }

    /// The keys of an event, read from its payload when somebody asks for the first time.
    pub(crate) fn keys<'a, 'e>(&self, incoming: &'e Incoming<'a>) -> &'e EventKeys<'a> {
        incoming.keys.get_or_init(|| {
            self.parses.fetch_add(1, Ordering::Relaxed);
            EventKeys::parse(incoming.payload)
        })
    }

    /// Tells every subscriber whom it concerns what happened to the line.
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
        self.lock().retain(|subscriber| {
            let Subscriber { sieve, queue } = subscriber;
            if !topic.is_none_or(|topic| sieve.wants_topic(topic)) {
                return subscriber.is_open();
            }
            let marker = if sieve.snapshots { marker } else { &bare };
            queue.push(LineEvent::Marker(marker.clone()), &self.meter)
        });
    }

    /// Subscriptions that are open.
    pub(crate) fn len(&self) -> usize {
        self.lock().iter().filter(|subscriber| subscriber.is_open()).count()
    }

    /// Payloads that were looked into since the line was made: one for each event at most, however many subscribers
    /// filter by what it carries.
    pub(crate) fn parses(&self) -> u64 {
        self.parses.load(Ordering::Relaxed)
    }

    /// Ends every subscription: the line is closed for good.
    pub(crate) fn close(&self) {
        let mut subscribers = self.lock();
        self.closed.store(true, Ordering::Relaxed);
        for subscriber in subscribers.drain(..) {
            subscriber.queue.close();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Subscriber>> {
        // A list of subscribers is whole after any panic: nothing is changed in two steps.
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
