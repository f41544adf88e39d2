//! From one parsed event to every subscriber that wants it.

mod event;
mod filter;
mod subscription;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use event::{Event, LineEvent, Marker};
pub use filter::EventFilter;
use subscription::Subscriber;
pub use subscription::Subscription;
use windlass_protocol::EventKeys;

/// The subscribers of one line. Outlives its connections.
///
/// Subscribers come from any thread, so they stand behind a lock; it is held for the few hundred nanoseconds of one
/// fan-out and never across an await.
#[derive(Debug, Default)]
pub(crate) struct Router {
    subscribers: Mutex<Vec<Subscriber>>,
}

impl Router {
    pub(crate) fn subscribe(&self, filter: EventFilter, capacity: usize) -> Subscription {
        let (subscriber, subscription) = subscription::channel(filter, capacity);
        self.lock().push(subscriber);
        subscription
    }

    /// Hands out one event. `make` builds the shared form and is called only if somebody wants it; `keys` are read from
    /// the payload only if some filter asks for them.
    pub(crate) fn publish(&self, name: &str, payload: &str, make: impl FnOnce() -> Event) {
        let mut subscribers = self.lock();
        if subscribers.is_empty() {
            return;
        }
        let by_keys = subscribers.iter().any(|subscriber| subscriber.filter.needs_keys());
        let keys = if by_keys {
            EventKeys::parse(payload)
        } else {
            EventKeys::default()
        };
        let (mut make, mut shared) = (Some(make), None);
        subscribers.retain_mut(|subscriber| {
            if !subscriber.filter.wants(name, &keys) {
                return subscriber.is_open();
            }
            let event = shared.get_or_insert_with(|| Arc::new(make.take().expect("made once")()));
            subscriber.deliver(LineEvent::Event(Arc::clone(event)))
        });
    }

    /// Tells every subscriber what happened to the line, whatever its filter.
    pub(crate) fn mark(&self, marker: &Marker) {
        self.lock()
            .retain_mut(|subscriber| subscriber.deliver(LineEvent::Marker(marker.clone())));
    }

    /// Subscriptions that are open.
    pub(crate) fn len(&self) -> usize {
        self.lock().iter().filter(|subscriber| subscriber.is_open()).count()
    }

    /// Ends every subscription: the line is closed for good.
    pub(crate) fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Subscriber>> {
        // A list of subscribers is whole after any panic: nothing is changed in two steps.
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
