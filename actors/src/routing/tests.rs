use futures_util::FutureExt as _;
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
            LineEvent::Marker(Marker::Lagged(n)) => format!("lagged {n}"),
            LineEvent::Marker(marker) => format!("{marker:?}"),
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
    assert_eq!(slow.next().now_or_never().flatten().map(|_| ()), Some(()));
    publish(&router, "e", "6");
    assert_eq!(drain(&mut slow), ["2", "lagged 3", "6"]);
    assert_eq!(drain(&mut quick), ["1", "2", "3", "4", "5", "6"]);
}

#[test]
fn a_loss_with_nothing_after_it_is_told_too() {
    let router = Router::default();
    let mut slow = router.subscribe(EventFilter::all(), 1);
    publish(&router, "e", "1");
    publish(&router, "e", "2");
    router.close();
    assert_eq!(drain(&mut slow), ["1", "lagged 1"]);
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
    assert!(router.lock().is_empty());
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
