use serde_json::json;

use super::*;

fn session(protocol: u32, max_payload: u64) -> Session {
    let hello: HelloOk = serde_json::from_value(json!({
        "type": "hello-ok", "protocol": protocol, "server": {"version": "2026.9.6", "connId": "c"},
        "features": {}, "snapshot": {}, "policy": {"maxPayload": max_payload, "tickIntervalMs": 30000},
    }))
    .unwrap();
    #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
    Session::begin(Generation::new(2), &hello, Instant::now())
}

fn event(name: &str, seq: u64) -> String {
    json!({"type": "event", "event": name, "payload": {}, "seq": seq}).to_string()
}

#[test]
fn answers_are_told_from_events_and_noise() {
    let mut session = session(4, 1_000_000);
    let answer = r#"{"type":"res","id":"7","ok":true,"payload":1}"#;
    assert!(matches!(session.receive(answer), Received::Answer { id, outcome: Ok(_) } if id == CallId::new(7)));
    assert!(matches!(
        session.receive(&event("tick", 1)),
        Received::Event { gap: None, .. }
    ));
    let unreadable = r#"{"type":"res","id":"invalid","ok":false,"error":{"code":"INVALID_REQUEST","message":"id"}}"#;
    assert!(matches!(
        session.receive(unreadable),
        Received::Ignored(IgnoredFrame::ForeignId(Some(_)))
    ));
    assert!(matches!(
        session.receive("nonsense"),
        Received::Ignored(IgnoredFrame::Malformed(_))
    ));
    assert!(matches!(
        session.receive(r#"{"type":"x"}"#),
        Received::Ignored(IgnoredFrame::UnknownKind)
    ));
}

#[test]
fn a_hole_is_a_gap_where_numbers_count_per_connection_only() {
    for (protocol, expected) in [
        (
            4,
            Some(Gap {
                expected: 2,
                received: 5,
            }),
        ),
        (3, None),
    ] {
        let mut session = session(protocol, 1_000_000);
        session.receive(&event("tick", 1));
        let text = event("tick", 5);
        assert!(matches!(session.receive(&text), Received::Event { gap, .. } if gap == expected));
    }
}

#[test]
fn an_event_is_handed_on_once() {
    for protocol in [3, 4] {
        let mut session = session(protocol, 1_000_000);
        session.receive(&event("tick", 7));
        let again = event("tick", 7);
        assert!(matches!(
            session.receive(&again),
            Received::Ignored(IgnoredFrame::Repeated)
        ));
        let next = event("tick", 8);
        assert!(matches!(session.receive(&next), Received::Event { gap: None, .. }));
    }
}

#[test]
fn what_can_not_be_read_may_have_been_an_event_unless_it_says_otherwise() {
    let mut session = session(3, 1_000_000);
    for (text, may) in [
        (r#"{"type":"event","event":"chat","payl"#, true),
        ("", true),
        (r#"{"type":"event","payload":{}}"#, true),
        (r#"{"type":"res","id":"1"}"#, false),
        (r#"{"type":"res","ok":true}"#, false),
        (r#"{"type":"later"}"#, false),
    ] {
        let Received::Ignored(why) = session.receive(text) else {
            panic!("{text}")
        };
        assert_eq!(why.may_hide_an_event(), may, "{text}");
    }
}

#[test]
fn a_shutdown_event_announces_the_end() {
    let mut session = session(3, 1_000_000);
    assert!(!session.announced_end());
    session.receive(&event("shutdown", 1));
    assert!(session.announced_end());
}

#[test]
fn a_stated_limit_of_nothing_is_not_believed() {
    assert_eq!(session(3, 0).wire().max_payload, Session::MIN_MAX_PAYLOAD);
    assert_eq!(session(3, 524_288).wire().max_payload, 524_288);
}
