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
