use std::sync::Arc;

use futures_util::FutureExt as _;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use windlass_protocol::{Generation, RawJson};

use super::*;

fn publish(router: &Router, name: &str, payload: &str) {
    router.publish(name, payload, || Event {
        name: name.into(),
        payload: RawJson::parse(payload).unwrap(),
        seq: None,
        generation: Generation::new(1),
    });
}

/// Everything that is there to read, as text: payloads of events, names of markers.
fn drain(subscription: &mut Subscription) -> Vec<String> {
    std::iter::from_fn(|| subscription.next().now_or_never().flatten())
        .map(|item| match item {
            LineEvent::Event(event) => event.payload.as_str().to_owned(),
            LineEvent::Marker(marker) => match *marker {
                Marker::Lagged(n) => format!("lagged {n}"),
                other => format!("{other:?}"),
            },
        })
        .collect()
}

#[test]
fn a_filter_takes_by_name_session_and_agent() {
    let router = Router::default();
    let filters = [
        EventFilter::all(),
        EventFilter::all().name("chat").name("agent"),
        EventFilter::all().session("agent:a:main"),
        EventFilter::all().agent("a").name("chat"),
    ];
    let mut subscriptions = filters.map(|filter| router.subscribe(filter, 8));
    publish(&router, "tick", r#"{"ts":1}"#);
    publish(&router, "chat", r#"{"sessionKey":"agent:a:main","n":2}"#);
    publish(&router, "agent", r#"{"sessionKey":"agent:a:main","n":3}"#);
    publish(&router, "chat", r#"{"sessionKey":"agent:b:main","n":4}"#);
    assert_eq!(subscriptions.each_mut().map(|s| drain(s).len()), [4, 3, 2, 1]);
}

#[test]
fn a_slow_subscriber_is_told_what_it_lost_at_the_place_where_it_was_lost() {
    let router = Router::default();
    let mut slow = router.subscribe(EventFilter::all(), 2);
    let mut quick = router.subscribe(EventFilter::all(), 10);
    for n in 1..=5 {
        publish(&router, "e", &n.to_string());
    }
    publish(&router, "e", "6");
    assert_eq!(drain(&mut slow), ["lagged 4", "5", "6"]);
    for n in 7..=8 {
        publish(&router, "e", &n.to_string());
    }
    assert_eq!(drain(&mut slow), ["7", "8"]);
    assert_eq!(drain(&mut quick), ["1", "2", "3", "4", "5", "6", "7", "8"]);
}

#[test]
fn what_waits_when_the_line_closes_is_still_read() {
    let router = Router::default();
    let mut slow = router.subscribe(EventFilter::all(), 1);
    publish(&router, "e", "1");
    publish(&router, "e", "2");
    router.close();
    assert_eq!(drain(&mut slow), ["lagged 1", "2"]);
    assert!(matches!(slow.next().now_or_never(), Some(None)));
}

#[test]
fn markers_pass_every_filter() {
    let router = Router::default();
    let mut picky = router.subscribe(EventFilter::all().name("nothing"), 4);
    router.mark(&Marker::Disconnected {
        generation: Generation::new(1),
    });
    assert_eq!(drain(&mut picky).len(), 1);
}

#[test]
fn a_subscriber_that_went_away_is_forgotten() {
    let router = Router::default();
    drop(router.subscribe(EventFilter::all(), 4));
    drop(router.subscribe(EventFilter::all().name("other"), 4));
    publish(&router, "e", "1");
    assert!(router.lock().subscribers.is_empty());
}

#[test]
fn an_event_is_made_once_for_all_and_not_at_all_for_nobody() {
    let router = Router::default();
    router.publish("e", "1", || unreachable!("nobody listens"));
    let subscriptions: Vec<_> = (0..100).map(|_| router.subscribe(EventFilter::all(), 4)).collect();
    let mut made = 0;
    router.publish("e", "1", || {
        made += 1;
        Event {
            name: "e".into(),
            payload: RawJson::null(),
            seq: None,
            generation: Generation::new(1),
        }
    });
    assert_eq!(made, 1);
    drop(subscriptions);
}

fn event(name: &str, payload: &str) -> Event {
    Event {
        name: name.into(),
        payload: RawJson::parse(payload).unwrap(),
        seq: None,
        generation: Generation::new(1),
    }
}

#[test]
fn a_thousand_filters_cost_one_look_into_each_payload() {
    const EVENTS: u64 = 50;
    let router = Router::default();
    let mut subscriptions: Vec<_> = (0..1000)
        .map(|n| {
            let filter = match n % 3 {
                0 => EventFilter::all().session(format!("agent:a{n}:main")),
                1 => EventFilter::all().agent(format!("a{n}")).name("chat"),
                _ => EventFilter::all().name(format!("other{n}")),
            };
            router.subscribe(filter, 64)
        })
        .collect();
    for n in 0..EVENTS {
        let payload = format!(r#"{{"sessionKey":"agent:a{}:main"}}"#, n % 3);
        router.publish("chat", &payload, || event("chat", &payload));
    }
    assert_eq!(router.parses(), EVENTS);
    let got: usize = subscriptions
        .iter_mut()
        .map(|subscription| drain(subscription).len())
        .sum();
    assert_eq!(got, 17 + 17, "two of three agents have a subscriber each");
}

#[test]
fn nothing_is_looked_into_where_names_decide() {
    let router = Router::default();
    let _by_name = router.subscribe(EventFilter::all().name("tick"), 8);
    let _by_session = router.subscribe(EventFilter::all().name("chat").session("s"), 8);
    router.publish("tick", "{}", || event("tick", "{}"));
    assert_eq!(router.parses(), 0);
}

#[test]
fn many_names_are_found_as_few_are() {
    let router = Router::default();
    let filter = (0..100).fold(EventFilter::all(), |filter, n| filter.session(format!("s{n}")));
    let mut subscription = router.subscribe(filter, 8);
    for key in ["s0", "s99", "s100"] {
        publish(&router, "chat", &format!(r#"{{"sessionKey":"{key}"}}"#));
    }
    assert_eq!(drain(&mut subscription).len(), 2);
}

#[test]
fn one_that_wants_to_be_disconnected_reads_what_waits_and_then_the_end() {
    let router = Router::default();
    let mut slow = router.subscribe(EventFilter::all(), Backlog::items(2).slow(SlowPolicy::Disconnect));
    let mut quick = router.subscribe(EventFilter::all(), 8);
    for n in 1..=4 {
        publish(&router, "e", &n.to_string());
    }
    assert_eq!(router.len(), 1, "it is forgotten at once");
    assert_eq!(drain(&mut slow), ["1", "2", "TooSlow"]);
    assert!(matches!(slow.next().now_or_never(), Some(None)));
    assert_eq!(drain(&mut quick).len(), 4);
}

#[test]
fn one_that_blocks_loses_nothing_until_its_overflow_is_full() {
    let router = Router::default();
    let overflow = Overflow {
        items: 3,
        bytes: 1 << 20,
    };
    let policy = |then| Backlog::items(2).slow(SlowPolicy::Block { overflow, then });
    let mut lags = router.subscribe(EventFilter::all(), policy(WhenFull::DropOldest));
    let mut leaves = router.subscribe(EventFilter::all(), policy(WhenFull::Disconnect));
    for n in 1..=5 {
        publish(&router, "e", &n.to_string());
    }
    assert_eq!(drain(&mut lags), ["1", "2", "3", "4", "5"]);
    publish(&router, "e", "6");
    assert_eq!(drain(&mut leaves), ["1", "2", "3", "4", "5", "TooSlow"]);
    for n in 7..=12 {
        publish(&router, "e", &n.to_string());
    }
    assert_eq!(drain(&mut lags), ["lagged 2", "8", "9", "10", "11", "12"]);
}

#[test]
fn bytes_are_bounded_too_and_one_large_item_may_wait_alone() {
    let router = Router::default();
    let backlog = Backlog {
        items: 100,
        bytes: 2000,
        slow: SlowPolicy::DropOldest,
    };
    let mut slow = router.subscribe(EventFilter::all(), backlog);
    let large = format!("\"{}\"", "x".repeat(5000));
    publish(&router, "e", "1");
    publish(&router, "e", &large);
    assert_eq!(drain(&mut slow), ["lagged 1", &large]);
    publish(&router, "e", &large);
    publish(&router, "e", "2");
    assert_eq!(drain(&mut slow), ["lagged 1", "2"]);
}

#[test]
fn a_snapshot_goes_to_those_who_asked_and_the_marker_to_all_it_concerns() {
    let router = Router::default();
    let mut asked = router.subscribe(EventFilter::all().snapshots(), 8);
    let mut other = router.subscribe(EventFilter::all().session("agent:b:main").snapshots(), 8);
    let mut plain = router.subscribe(EventFilter::all().name("nothing"), 8);
    let snapshot = RawJson::parse("[]").unwrap();
    router.mark(&Marker::Resynced {
        generation: Generation::new(1),
        what: Topic::messages("agent:a:main"),
        snapshot: Some(snapshot.clone()),
        again: false,
    });
    let got = |subscription: &mut Subscription| match subscription.next().now_or_never().flatten()?.marker() {
        Some(Marker::Resynced { snapshot, .. }) => Some(snapshot.clone()),
        _ => None,
    };
    assert_eq!(got(&mut asked), Some(Some(snapshot)));
    assert_eq!(got(&mut plain), Some(None));
    assert_eq!(got(&mut other), None);
}

#[tokio::test]
async fn a_reader_that_waits_is_woken_by_an_event_and_by_the_end() {
    let router = Router::default();
    let mut subscription = router.subscribe(EventFilter::all(), 8);
    let (first, ()) = tokio::join!(subscription.next(), async { publish(&router, "e", "1") });
    assert!(matches!(first, Some(LineEvent::Event(_))));
    let (end, ()) = tokio::join!(subscription.next(), async { router.close() });
    assert!(end.is_none());
}

#[tokio::test]
async fn a_subscription_to_a_line_that_is_closed_ends_at_once() {
    let router = Router::default();
    router.close();
    let mut late = router.subscribe(EventFilter::all(), 8);
    assert!(late.next().await.is_none());
    assert_eq!(router.len(), 0);
}

fn number(router: &Router, n: usize) {
    // Some are large, some of another name.
    let payload = format!("\"{n} {}\"", "x".repeat(if n.is_multiple_of(7) { 900 } else { n % 50 }));
    let name = if n.is_multiple_of(5) { "other" } else { "e" };
    router.enqueue(&Incoming::new(name, &payload), || event(name, &payload));
}

#[test]
fn a_batch_comes_to_the_same_as_its_events_one_by_one() {
    let overflow = Overflow { items: 30, bytes: 3000 };
    let policies = [
        SlowPolicy::DropOldest,
        SlowPolicy::Disconnect,
        SlowPolicy::Block {
            overflow,
            then: WhenFull::DropOldest,
        },
        SlowPolicy::Block {
            overflow,
            then: WhenFull::Disconnect,
        },
    ];
    for seed in 0..300 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut backlog = Backlog::items(rng.random_range(1..100)).slow(policies[rng.random_range(0..4)]);
        backlog.bytes = rng.random_range(100..20_000);
        let filters = [
            EventFilter::all(),
            EventFilter::all().name("e"),
            EventFilter::all().name("other"),
        ];
        let (batched, single) = (Router::default(), Router::default());
        let mut theirs = filters.clone().map(|filter| batched.subscribe(filter, backlog));
        let mut ours = filters.map(|filter| single.subscribe(filter, backlog));
        let mut n = 0;
        for _ in 0..20 {
            for _ in 0..rng.random_range(0..150) {
                n += 1;
                number(&batched, n);
                number(&single, n);
                single.flush();
            }
            batched.flush();
            if rng.random_bool(0.5) {
                let (theirs, ours) = (theirs.each_mut().map(drain), ours.each_mut().map(drain));
                assert_eq!(theirs, ours, "seed {seed}");
            }
        }
    }
}

#[test]
fn what_is_in_a_readers_hand_comes_before_what_was_dropped_behind_it() {
    let router = Router::default();
    let mut slow = router.subscribe(EventFilter::all(), 3);
    for n in 1..=3 {
        router.enqueue(&Incoming::new("e", ""), || event("e", &n.to_string()));
    }
    router.flush();
    assert!(slow.next().now_or_never().is_some(), "takes three in hand");
    for n in 4..=8 {
        publish(&router, "e", &n.to_string());
    }
    assert_eq!(drain(&mut slow), ["2", "3", "lagged 2", "6", "7", "8"]);
}

#[test]
fn who_subscribes_or_is_told_something_finds_the_events_in_their_places() {
    let router = Router::default();
    let mut early = router.subscribe(EventFilter::all(), 8);
    router.enqueue(&Incoming::new("e", ""), || event("e", "1"));
    let mut late = router.subscribe(EventFilter::all(), 8);
    router.enqueue(&Incoming::new("e", ""), || event("e", "2"));
    router.mark(&Marker::Unreadable);
    router.enqueue(&Incoming::new("e", ""), || event("e", "3"));
    router.close();
    assert_eq!(drain(&mut early), ["1", "2", "Unreadable", "3"]);
    assert_eq!(drain(&mut late), ["2", "Unreadable", "3"]);
}

#[test]
fn who_picks_little_of_a_batch_does_not_hold_on_to_the_rest() {
    let router = Router::default();
    let mut picky = router.subscribe(EventFilter::all().name("small"), 8);
    let all = router.subscribe(EventFilter::all(), 8);
    let large = format!("\"{}\"", "x".repeat(1000));
    router.enqueue(&Incoming::new("large", ""), || event("large", &large));
    router.enqueue(&Incoming::new("small", ""), || event("small", "1"));
    router.flush();
    let held = |mut all: Subscription| match all.next().now_or_never().flatten() {
        Some(LineEvent::Event(event)) => Arc::downgrade(&event),
        other => panic!("{other:?}"),
    };
    assert!(held(all).upgrade().is_none(), "only the picky one is left");
    assert_eq!(drain(&mut picky), ["1"]);
}
