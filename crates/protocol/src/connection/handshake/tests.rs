use serde_json::json;

use super::*;
use crate::RefusalKind;

const CHALLENGE: &str = r#"{"type":"event","event":"connect.challenge","payload":{"nonce":"n-1","ts":1795350900000}}"#;

const WITHIN: Duration = Duration::from_secs(20);

fn begin() -> (Handshake, Instant) {
    #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
    let now = Instant::now();
    (Handshake::begin(CallId::new(5), now, WITHIN), now)
}

fn sign(challenge: &Challenge) -> Result<RawJson, String> {
    RawJson::from_value(&json!({ "signed": challenge.nonce })).map_err(|error| error.to_string())
}

fn challenged() -> (Handshake, Instant) {
    let (mut handshake, now) = begin();
    let HandshakeStep::Send(frame) = handshake.receive(CHALLENGE, now, sign).unwrap() else {
        panic!("nothing sent")
    };
    assert_eq!(
        frame,
        r#"{"type":"req","id":"5","method":"connect","params":{"signed":"n-1"}}"#
    );
    (handshake, now)
}

fn hello(id: &str, protocol: u32) -> String {
    let hello = json!({
        "type": "hello-ok", "protocol": protocol,
        "server": {"version": "2026.3.13", "connId": "c"},
        "features": {"methods": [], "events": []}, "snapshot": {}, "policy": {},
    });
    json!({"type": "res", "id": id, "ok": true, "payload": hello}).to_string()
}

fn refusal(id: &str, code: &str) -> String {
    let error = json!({"code": "INVALID_REQUEST", "message": "no", "details": {"code": code}});
    json!({"type": "res", "id": id, "ok": false, "error": error}).to_string()
}

#[test]
fn a_challenge_is_answered_and_hello_ok_ends_the_handshake() {
    for protocol in [3, 4] {
        let (mut handshake, now) = challenged();
        let step = handshake.receive(&hello("5", protocol), now, sign).unwrap();
        assert!(matches!(step, HandshakeStep::Up(read) if read.hello.protocol == protocol));
    }
}

#[test]
fn a_refusal_is_classified_even_under_the_id_of_an_unreadable_request() {
    for id in ["5", "invalid"] {
        let (mut handshake, now) = challenged();
        let step = handshake
            .receive(&refusal(id, "AUTH_TOKEN_MISMATCH"), now, sign)
            .unwrap();
        let HandshakeStep::Refused(refusal) = step else {
            panic!("{step:?}")
        };
        assert!(matches!(refusal.kind(), RefusalKind::TokenMismatch { .. }));
    }
}

#[test]
fn events_before_the_answer_are_read_over() {
    let (mut handshake, now) = challenged();
    let tick = r#"{"type":"event","event":"tick","payload":{"ts":1},"seq":1}"#;
    assert!(matches!(handshake.receive(tick, now, sign), Ok(HandshakeStep::Wait)));
}

#[test]
fn each_wait_has_its_own_deadline_and_reason() {
    let (mut handshake, now) = begin();
    assert_eq!(handshake.deadline(), now + WITHIN);
    assert_eq!(handshake.late(), HandshakeFault::NoChallenge { within: WITHIN });
    let later = now + Duration::from_secs(14);
    handshake.receive(CHALLENGE, later, sign).unwrap();
    assert_eq!(handshake.deadline(), later + WITHIN);
    assert_eq!(handshake.late(), HandshakeFault::NoHello { within: WITHIN });
}

#[test]
fn what_no_gateway_sends_at_that_point_is_a_fault() {
    let fault = |text: &str| {
        let (mut handshake, now) = challenged();
        handshake.receive(text, now, sign).unwrap_err()
    };
    assert_eq!(fault(&hello("5", 7)), HandshakeFault::Protocol(7));
    assert!(matches!(fault(CHALLENGE), HandshakeFault::Unexpected(_)));
    assert!(matches!(fault(&hello("6", 4)), HandshakeFault::Unexpected(_)));
    assert!(matches!(fault("HTTP/1.1 400"), HandshakeFault::Unexpected(_)));
    assert!(matches!(
        fault(r#"{"type":"res","id":"5","ok":true,"payload":{}}"#),
        HandshakeFault::Unexpected(_)
    ));
}

#[test]
fn a_fault_does_not_repeat_all_that_came() {
    let (mut handshake, now) = challenged();
    let hello = json!({"type": "hello-ok", "protocol": "x".repeat(100_000)});
    let answer = json!({"type": "res", "id": "5", "ok": true, "payload": hello}).to_string();
    let fault = handshake.receive(&answer, now, sign).unwrap_err();
    assert!(fault.to_string().chars().count() < 500, "{fault}");
}

#[test]
fn credentials_that_can_not_be_made_or_are_too_long_are_not_sent() {
    let (mut handshake, now) = begin();
    let error = handshake.receive(CHALLENGE, now, |_| Err("no key".into())).unwrap_err();
    assert_eq!(error, HandshakeFault::Credentials("no key".into()));
    let (mut handshake, now) = begin();
    let long = handshake.receive(
        CHALLENGE,
        now,
        |_| Ok(RawJson::from_value(&"x".repeat(70_000)).unwrap()),
    );
    assert!(matches!(long, Err(HandshakeFault::Credentials(_))));
}
