//! A subscriber that writes down what it sees.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::Value;
use windlass::{LineEvent, Marker, Subscription, Topic};

/// One item of the stream, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A pulse, with its number where it can be read.
    Pulse(Option<u64>),
    Marker(&'static str),
    /// The state of the sessions, loaded over this connection.
    Sessions(u64),
}

/// The stream so far.
#[derive(Clone, Default)]
pub(super) struct Observer(Rc<RefCell<Vec<Item>>>);

impl Observer {
    /// Reads to the stream's end.
    pub(super) async fn watch(self, mut events: Subscription) {
        while let Some(item) = events.next().await {
            let item = match item {
                LineEvent::Event(event) if &*event.name == "pulse" => {
                    Item::Pulse(event.decode::<Value>().ok().and_then(|pulse| pulse["n"].as_u64()))
                }
                LineEvent::Event(_) => continue,
                LineEvent::Marker(marker) => match *marker {
                    Marker::Resynced {
                        generation,
                        what: Topic::Sessions,
                        ..
                    } => Item::Sessions(generation.number()),
                    other => Item::Marker(other.name()),
                },
            };
            self.0.borrow_mut().push(item);
        }
    }

    pub(super) fn items(&self) -> Vec<Item> {
        self.0.borrow().clone()
    }

    /// Whether this pulse was seen.
    pub(super) fn has_seen(&self, number: u64) -> bool {
        self.0.borrow().contains(&Item::Pulse(Some(number)))
    }
}
