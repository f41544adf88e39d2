//! Markers that a gateway causes again and again, as one entry with a count.
//!
//! The first one is recorded at once, so that its hole is marked whatever follows. What repeats it is counted, and recorded
//! as one entry: before anything else of the gateway, after [`REPEAT_EVERY`], or at the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use windlass_store::{GatewayUid, NewEntry};

use super::entry::{Stamp, of_marker};
use super::item::RecordedMarker;
use windlass_line::routing::{LineEvent, Marker};

/// How often a marker that goes on repeating is recorded: six entries a minute, 9,000 a day, 1 MB.
pub(super) const REPEAT_EVERY: Duration = Duration::from_secs(10);

/// The markers that repeat just now, one a gateway at most.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    open: BTreeMap<GatewayUid, Repeat>,
}

#[derive(Debug)]
struct Repeat {
    kind: Kind,
    /// How often since the last entry; for [`Kind::Lagged`], how many items.
    count: u64,
    stamp: Stamp,
    due: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unreadable,
    Lagged,
}

/// What becomes of an item.
#[derive(Debug)]
pub(super) struct Taken {
    /// The entry of what was counted before the item.
    pub(super) before: Option<NewEntry>,
    /// Whether the item gets an entry of its own.
    pub(super) is_recorded: bool,
}

impl Repeat {
    fn entry(&self) -> Option<NewEntry> {
        let marker = match self.kind {
            _ if self.count == 0 => return None,
            Kind::Unreadable if self.count == 1 => RecordedMarker::Line(Marker::Unreadable),
            Kind::Unreadable => RecordedMarker::Repeated {
                marker: Marker::Unreadable,
                count: self.count,
            },
            Kind::Lagged => RecordedMarker::Line(Marker::Lagged(self.count)),
        };
        Some(of_marker(&marker, self.stamp))
    }
}

impl Repeats {
    /// Takes an item of a gateway.
    pub(super) fn take(&mut self, item: &LineEvent, stamp: Stamp, now: Instant) -> Taken {
        let repeated = match item.marker() {
            Some(Marker::Unreadable) => Some((Kind::Unreadable, 1)),
            Some(Marker::Lagged(count)) => Some((Kind::Lagged, *count)),
            _ => None,
        };
        if let (Some((kind, count)), Some(open)) = (repeated, self.open.get_mut(&stamp.gateway))
            && open.kind == kind
        {
            open.count = open.count.saturating_add(count);
            open.stamp = stamp;
            return Taken {
                before: None,
                is_recorded: false,
            };
        }
        let before = self.close(stamp.gateway);
        if let Some((kind, _)) = repeated {
            let repeat = Repeat {
                kind,
                count: 0,
                stamp,
                due: now + REPEAT_EVERY,
            };
            self.open.insert(stamp.gateway, repeat);
        }
        Taken {
            before,
            is_recorded: true,
        }
    }

    /// The entry of what was counted of a gateway: something else of it follows.
    pub(super) fn close(&mut self, gateway: GatewayUid) -> Option<NewEntry> {
        self.open.remove(&gateway)?.entry()
    }

    /// When to ask [`due`](Self::due) next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.open.values().map(|repeat| repeat.due).min()
    }

    /// The entries that are due. A marker that did not repeat meanwhile is forgotten: the next one is recorded at once.
    pub(super) fn due(&mut self, now: Instant) -> Vec<NewEntry> {
        let mut entries = Vec::new();
        self.open.retain(|_, repeat| {
            if repeat.due > now {
                return true;
            }
            let Some(entry) = repeat.entry() else {
                return false;
            };
            entries.push(entry);
            (repeat.count, repeat.due) = (0, now + REPEAT_EVERY);
            true
        });
        entries
    }

    /// The entries of all that was counted: the recorder ends.
    pub(super) fn end(&mut self) -> Vec<NewEntry> {
        std::mem::take(&mut self.open)
            .values()
            .filter_map(Repeat::entry)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use windlass_protocol::{Generation, RawJson};
    use windlass_store::Timestamp;

    use super::*;
    use windlass_line::clock::Clock as _;
    use windlass_line::routing::Event;

    fn stamp(gateway: u8) -> Stamp {
        Stamp {
            gateway: GatewayUid::from_bytes([gateway; 16]),
            generation: Generation::new(1),
            at: Timestamp::from_millis(7),
        }
    }

    fn event() -> LineEvent {
        LineEvent::Event(Arc::new(Event {
            name: "chat".into(),
            payload: RawJson::null(),
            seq: None,
            generation: Generation::new(1),
        }))
    }

    fn body(entry: &NewEntry) -> (&str, &str) {
        (entry.kind.name(), entry.body.as_str())
    }

    #[test]
    fn a_repeated_marker_is_one_entry_with_a_count_before_what_follows_it() {
        let now = windlass_line::TokioClock::start().now();
        let (mut repeats, unreadable) = (Repeats::default(), LineEvent::Marker(Box::new(Marker::Unreadable)));
        let first = repeats.take(&unreadable, stamp(1), now);
        assert!(
            first.is_recorded && first.before.is_none(),
            "the hole is marked at once"
        );
        for _ in 0..1_000 {
            assert!(!repeats.take(&unreadable, stamp(1), now).is_recorded);
        }
        // Another gateway's are its own.
        assert!(repeats.take(&unreadable, stamp(2), now).is_recorded);
        let then = repeats.take(&event(), stamp(1), now);
        assert_eq!(then.before.as_ref().map(body), Some(("unreadable", "{\"count\":1000}")));
        assert!(then.is_recorded);
        assert!(repeats.take(&event(), stamp(1), now).before.is_none());
    }

    #[test]
    fn a_marker_that_goes_on_is_recorded_again_after_a_while_and_at_the_end() {
        let now = windlass_line::TokioClock::start().now();
        let (mut repeats, lagged) = (Repeats::default(), LineEvent::Marker(Box::new(Marker::Lagged(5))));
        for _ in 0..3 {
            repeats.take(&lagged, stamp(1), now);
        }
        assert_eq!(repeats.next_due(), Some(now + REPEAT_EVERY));
        assert!(repeats.due(now).is_empty());
        let entries = repeats.due(now + REPEAT_EVERY);
        assert!(
            entries.iter().map(body).eq([("lagged", "{\"dropped\":10}")]),
            "{entries:?}"
        );
        repeats.take(&lagged, stamp(1), now);
        assert_eq!(repeats.end().len(), 1);
        assert_eq!(repeats.next_due(), None);
    }

    #[test]
    fn a_marker_that_does_not_repeat_is_forgotten() {
        let now = windlass_line::TokioClock::start().now();
        let mut repeats = Repeats::default();
        repeats.take(&LineEvent::Marker(Box::new(Marker::Unreadable)), stamp(1), now);
        assert!(repeats.due(now + REPEAT_EVERY).is_empty());
        assert_eq!(repeats.next_due(), None);
        let again = repeats.take(&LineEvent::Marker(Box::new(Marker::Unreadable)), stamp(1), now);
        assert!(again.is_recorded);
    }
}
