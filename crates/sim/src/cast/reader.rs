//! Subscribers that record the items that they get.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::Value;
use windlass::{EventFilter, LineEvent, Marker, Subscription, Topic};

use crate::site::Site;
use crate::trace::note;
use crate::world::Reader;

/// One item of the stream, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A numbered event, with its number where it can be read.
    Pulse(Option<u64>),
    Marker(&'static str),
    /// The state of the sessions, loaded over this connection.
    Sessions(u64),
}

/// The stream so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadLog(Rc<RefCell<Vec<Item>>>);

impl ReadLog {
    /// Subscribes. The returned future reads the stream to its end.
    pub(crate) fn open(&self, site: &Site, number: usize, reader: Reader) -> impl Future<Output = ()> + use<> {
        let filter = EventFilter::all().snapshots();
        let events = site.gateway.events_bounded(filter, reader.backlog);
        self.clone().read(format!("{}/{number}", site.name()), events, reader)
    }

    async fn read(self, name: String, mut events: Subscription, reader: Reader) {
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
            note(|| format!("{name}: sees {item:?}"));
            self.0.borrow_mut().push(item);
            if !reader.takes.is_zero() {
                tokio::time::sleep(reader.takes).await;
            }
        }
        note(|| format!("{name}: the stream ends"));
    }

    pub(crate) fn items(&self) -> Vec<Item> {
        self.0.borrow().clone()
    }

    /// Whether this event was seen, or a later one.
    pub(crate) fn has_seen_from(&self, number: u64) -> bool {
        let is_it = |item: &Item| matches!(item, Item::Pulse(Some(n)) if *n >= number);
        self.0.borrow().iter().rev().any(is_it)
    }
}
