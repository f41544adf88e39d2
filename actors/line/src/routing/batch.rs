//! Events collected in one turn of the line, so that each subscriber is met once for all of them.

use std::cell::OnceCell;
use std::sync::Arc;

use windlass_protocol::EventKeys;

use crate::routing::{CompiledFilter, Event};

/// Events of a batch at most: one bit each in the mask of a subscriber.
const EVENTS: usize = u64::BITS as usize;
/// A batch that weighs this much, in bytes, gets no more events: a subscriber of one of them may hold on to all.
const BYTES: usize = 256 * 1024;

/// Events that were not handed over yet, in order.
#[derive(Debug, Default)]
pub(super) struct BatchBuilder {
    events: Vec<Arc<Event>>,
    keys: Vec<LazyKeys>,
    weight: usize,
}

/// The keys of an event, read at the first request. In a box: most are never read.
type LazyKeys = OnceCell<Box<EventKeys<'static>>>;

/// Events that are handed over together.
#[derive(Debug)]
pub(super) struct Batch {
    events: Arc<[Arc<Event>]>,
    keys: Vec<LazyKeys>,
    kinds: Vec<NameGroup>,
    weights: Vec<usize>,
    weight: usize,
}

/// Events of one name: most batches have few, and a filter by name is asked once for each.
#[derive(Debug)]
struct NameGroup {
    /// Where the first one stands.
    first: usize,
    /// All of them, a bit each.
    picks: u64,
}

/// Events that one subscriber picked of a batch, in order.
#[derive(Debug)]
pub(super) struct BatchView {
    events: Arc<[Arc<Event>]>,
    left: u64,
}

impl BatchBuilder {
    /// Takes one more. `keys` are those that were read already.
    pub(super) fn add(&mut self, event: Event, keys: Option<&EventKeys<'_>>) {
        self.weight += event.weight();
        self.events.push(Arc::new(event));
        let keys = keys.map(|keys| Box::new(keys.clone().into_owned()));
        self.keys.push(keys.map_or_else(OnceCell::new, OnceCell::from));
    }

    pub(super) const fn is_full(&self) -> bool {
        self.events.len() >= EVENTS || self.weight >= BYTES
    }

    /// All that was collected, if anything was. Keeps no memory: most lines are idle most of the time.
    pub(super) fn take(&mut self) -> Option<Batch> {
        if self.events.is_empty() {
            return None;
        }
        let Self { events, keys, weight } = std::mem::take(self);
        Some(Batch {
            kinds: kinds_of(&events),
            weights: events.iter().map(|event| event.weight()).collect(),
            events: events.into(),
            keys,
            weight,
        })
    }
}

fn kinds_of(events: &[Arc<Event>]) -> Vec<NameGroup> {
    let mut kinds: Vec<NameGroup> = Vec::with_capacity(1);
    for (at, event) in events.iter().enumerate() {
        let picks = 1 << at;
        match kinds.iter_mut().find(|kind| events[kind.first].name == event.name) {
            Some(kind) => kind.picks |= picks,
            None => kinds.push(NameGroup { first: at, picks }),
        }
    }
    kinds
}

impl Batch {
    /// The events that pass this filter, a bit for each. `parse` reads an event's keys from its payload.
    pub(super) fn picks(&self, filter: &CompiledFilter, parse: impl Fn(&str) -> EventKeys<'_>) -> u64 {
        let wanted = self
            .kinds
            .iter()
            .filter(|kind| filter.wants_name(&self.events[kind.first].name));
        let named = wanted.fold(0, |picks, kind| picks | kind.picks);
        if !filter.needs_keys() {
            return named;
        }
        bits(named)
            .filter(|&at| {
                let read = || Box::new(parse(self.events[at].payload.as_str()).into_owned());
                filter.wants_keys(self.keys[at].get_or_init(read))
            })
            .fold(0, |picks, at| picks | 1 << at)
    }

    /// The weight of the picked events against a queue's bound, in bytes.
    pub(super) fn weight(&self, picks: u64) -> usize {
        if picks.count_ones() as usize == self.events.len() {
            self.weight
        } else {
            bits(picks).map(|at| self.weights[at]).sum()
        }
    }

    /// The events picked. Shared, unless that would hold on to more than twice their weight.
    pub(super) fn pick(&self, picks: u64) -> BatchView {
        if self.weight(picks) >= self.weight / 2 {
            return BatchView {
                events: Arc::clone(&self.events),
                left: picks,
            };
        }
        let events: Arc<[_]> = bits(picks).map(|at| Arc::clone(&self.events[at])).collect();
        let left = u64::MAX >> (EVENTS - events.len());
        BatchView { events, left }
    }
}

impl BatchView {
    pub(super) const fn len(&self) -> usize {
        self.left.count_ones() as usize
    }
}

impl Iterator for BatchView {
    type Item = Arc<Event>;

    fn next(&mut self) -> Option<Arc<Event>> {
        let at = self.left.trailing_zeros() as usize;
        self.left &= self.left.wrapping_sub(1);
        self.events.get(at).map(Arc::clone)
    }
}

/// The places of the bits that are set, lowest first.
fn bits(mut of: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = of.trailing_zeros();
        of &= of.wrapping_sub(1);
        (at < u64::BITS).then_some(at as usize)
    })
}
