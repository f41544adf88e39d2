use proptest::prelude::*;

use super::*;

fn response(text: &str) -> Response<'_> {
    match Frame::decode(text).unwrap() {
        Frame::Response(response) => response,
        other => panic!("not a response: {other:?}"),
    }
}

#[test]
fn an_answer_is_borrowed_from_its_frame() {
    let text = r#"{"type":"res","id":"7","ok":true,"payload":{"runId":"r"}}"#;
    let answer = response(text);
    assert!(matches!(answer.id, Cow::Borrowed("7")));
    assert_eq!(answer.outcome.unwrap().as_str(), r#"{"runId":"r"}"#);
}

#[test]
fn an_answer_without_payload_reads_as_null() {
    for text in [
        r#"{"type":"res","id":"7","ok":true}"#,
        r#"{"type":"res","id":"7","ok":true,"payload":null}"#,
    ] {
        assert_eq!(response(text).outcome.unwrap().as_str(), "null");
    }
}

#[test]
fn a_failed_answer_that_also_carries_a_payload_is_a_failure() {
    // Method `agent` on 2026.9.6 ends a failed run this way.
    let text = r#"{"type":"res","id":"7","ok":false,"payload":{},"error":{"code":"UNAVAILABLE","message":"x"}}"#;
    assert_eq!(response(text).outcome.unwrap_err().message, "x");
}

#[test]
fn an_error_of_an_unknown_shape_still_ends_its_call() {
    let text = r#"{"type":"res","id":"7","ok":false,"error":"no"}"#;
    assert_eq!(response(text).outcome.unwrap_err().code.as_str(), "UNREADABLE");
}

#[test]
fn a_number_that_is_no_number_is_none() {
    let text = r#"{"type":"event","event":"tick","payload":{},"seq":"3"}"#;
    assert!(matches!(Frame::decode(text), Ok(Frame::Event(event)) if event.seq.is_none()));
}

#[test]
fn an_event_without_seq_is_an_event() {
    let text = r#"{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":1}}"#;
    let Frame::Event(event) = Frame::decode(text).unwrap() else {
        panic!("not an event");
    };
    assert_eq!((event.name.as_ref(), event.seq), ("connect.challenge", None));
}

#[test]
fn fields_of_later_releases_do_no_harm() {
    let text = r#"{"type":"event","event":"presence","recipientProfileId":"p","stateVersion":{"presence":1,"health":2},"seq":3,"payload":{}}"#;
    assert!(matches!(Frame::decode(text), Ok(Frame::Event(event)) if event.seq == Some(3)));
}

#[test]
fn an_unknown_kind_of_frame_is_named_and_not_an_error() {
    assert!(matches!(Frame::decode(r#"{"type":"gossip"}"#), Ok(Frame::Other(kind)) if kind == "gossip"));
}

#[test]
fn what_is_no_frame_says_what_is_missing() {
    let error = |text| Frame::decode(text).unwrap_err().to_string();
    assert_eq!(error(r#"{"type":"res","ok":true}"#), "res frame has no id");
    assert_eq!(error(r#"{"type":"res","id":"1"}"#), "res frame has no ok");
    assert_eq!(error(r#"{"type":"res","id":"1","ok":false}"#), "res frame has no error");
    assert_eq!(error(r#"{"type":"event"}"#), "event frame has no event");
    assert!(error("{\"token\":\"s3cret\"").starts_with("frame is not a JSON object"));
}

#[test]
fn a_request_is_written_with_nothing_but_the_known_fields() {
    let method = MethodName::new("chat.send").unwrap();
    let params = RawJson::parse(r#"{"message":"hi"}"#).unwrap();
    assert_eq!(
        encode_request(CallId::new(12), &method, Some(&params)),
        r#"{"type":"req","id":"12","method":"chat.send","params":{"message":"hi"}}"#
    );
    assert_eq!(
        encode_request(CallId::new(0), &method, None),
        r#"{"type":"req","id":"0","method":"chat.send"}"#
    );
}

#[test]
fn a_name_that_would_need_escaping_is_no_method() {
    for name in ["", "a b", "x\"y", "ü", &"m".repeat(129)] {
        assert!(MethodName::new(name.to_owned()).is_err(), "{name:?}");
    }
}

proptest! {
    #[test]
    fn decoding_never_panics(text in ".{0,200}") {
        let _ = Frame::decode(&text);
    }

    #[test]
    fn decoding_damaged_frames_never_panics(cut in 0usize..80, byte in any::<u8>()) {
        let mut bytes = br#"{"type":"res","id":"7","ok":true,"payload":{"a":[1,2,{"b":"\u00e4"}]},"seq":4}"#.to_vec();
        let at = cut % bytes.len();
        bytes[at] = byte;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let _ = Frame::decode(text);
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same_request(id in any::<u64>(), text in "\\PC{0,40}") {
        let params = RawJson::from_value(&serde_json::json!({ "message": text })).unwrap();
        let method = MethodName::new("chat.send").unwrap();
        let frame: serde_json::Value =
            serde_json::from_str(&encode_request(CallId::new(id), &method, Some(&params))).unwrap();
        prop_assert_eq!(frame, serde_json::json!({
            "type": "req", "id": id.to_string(), "method": "chat.send", "params": { "message": text },
        }));
    }
}

#[test]
fn half_a_character_hides_no_frame() {
    let text = r#"{"type":"event","event":"a\ud83d","payload":"\ud83d","seq":1}"#;
    match Frame::decode(text).unwrap() {
        Frame::Event(event) => assert_eq!((&*event.name, event.payload.as_str()), ("a\u{fffd}", r#""\ud83d""#)),
        other => panic!("{other:?}"),
    }
    let text = r#"{"type":"res","id":"1","ok":false,"error":{"code":"NOT_FOUND","message":"no lab\ud83d"}}"#;
    match Frame::decode(text).unwrap() {
        Frame::Response(Response {
            outcome: Err(error), ..
        }) => {
            assert_eq!((error.code.as_str(), &*error.message), ("NOT_FOUND", "no lab\u{fffd}"));
        }
        other => panic!("{other:?}"),
    }
}
