//! A subscriber that only takes spans. The cost that remains is the part of Windlass in observation.

use std::sync::{Mutex, PoisonError};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::{CALLS, Fields};

/// Takes every field of every span into memory that is used again.
#[derive(Default)]
pub(super) struct Collector(Mutex<Spans>);

#[derive(Default)]
struct Spans {
    places: Vec<Place>,
    free: Vec<usize>,
}

/// A span, or one that was.
#[derive(Default)]
struct Place {
    fields: Fields,
    handles: usize,
}

impl Collector {
    fn with<T>(&self, act: impl FnOnce(&mut Spans) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Ids are places, counted from one.
fn place(id: &Id) -> usize {
    usize::try_from(id.into_u64() - 1).unwrap_or_default()
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == CALLS || *metadata.level() <= Level::INFO
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        self.with(|spans| {
            let at = spans.free.pop().unwrap_or_else(|| {
                spans.places.push(Place::default());
                spans.places.len() - 1
            });
            spans.places[at].handles = 1;
            attributes.record(&mut spans.places[at].fields);
            Id::from_u64(at as u64 + 1)
        })
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        self.with(|spans| values.record(&mut spans.places[place(id)].fields));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}

    fn clone_span(&self, id: &Id) -> Id {
        self.with(|spans| spans.places[place(id)].handles += 1);
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        self.with(|spans| {
            let at = place(&id);
            spans.places[at].handles -= 1;
            let over = spans.places[at].handles == 0;
            if over {
                spans.places[at].fields.export();
                spans.free.push(at);
            }
            over
        })
    }
}
