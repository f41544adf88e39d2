//! One WebSocket message.

use bytestring::ByteString;
use serde_json::Value;
use serde_json::value::RawValue;
use windlass_protocol::{Frame, FrameError, GatewayError, Payload, RawJson};

use crate::shared::{assert_fit_to_show, text};

/// The fast reader and the parser agree. A payload is a part of its frame, is JSON and can be read as a value. An error names a
/// position and repeats no input.
pub(super) fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    match (Frame::decode(text), windlass_protocol::fuzzing::decode_by_parser(text)) {
        (Ok(frame), Ok(parsed)) => {
            assert_same(&frame, &parsed);
            assert_payload_is_kept(&frame, text);
        }
        (Ok(frame), Err(error)) => panic!("{frame:?} is let through, though it is no frame: {error}"),
        (Err(error), Err(same)) => {
            assert_eq!(error.to_string(), same.to_string());
            assert_fit_to_show(&error.to_string());
            assert_names_place_only(&error);
        }
        (Err(error), Ok(_)) => panic!("refused, though it can be parsed: {error}"),
    }
}

fn assert_same(frame: &Frame<'_>, parsed: &Frame<'_>) {
    match (frame, parsed) {
        (Frame::Response(one), Frame::Response(other)) => {
            assert_eq!(one.id, other.id);
            assert_eq!(outcome(&one.outcome), outcome(&other.outcome));
        }
        (Frame::Event(one), Frame::Event(other)) => {
            assert_eq!((&one.name, one.seq), (&other.name, other.seq));
            assert_eq!(one.payload.as_str(), other.payload.as_str());
        }
        (Frame::Other(one), Frame::Other(other)) => assert_eq!(one, other),
        (one, other) => panic!("{one:?} and {other:?}"),
    }
}

fn outcome<'a>(outcome: &'a Result<Payload<'a>, GatewayError>) -> Result<&'a str, &'a GatewayError> {
    outcome.as_ref().map(Payload::as_str)
}

fn payload<'a>(frame: &Frame<'a>) -> Option<Payload<'a>> {
    match frame {
        Frame::Response(response) => response.outcome.as_ref().ok().copied(),
        Frame::Event(event) => Some(event.payload),
        Frame::Other(_) => None,
    }
}

fn assert_payload_is_kept(frame: &Frame<'_>, text: &str) {
    let Some(payload) = payload(frame) else { return };
    assert!(is_json(payload.as_str()), "{}", payload.as_str());
    let shared = ByteString::from(text);
    let Ok(again) = Frame::decode(&shared) else {
        panic!("a copy is read otherwise")
    };
    let kept = self::payload(&again).expect("the same").to_owned_in(&shared);
    assert_eq!(kept.as_str(), payload.as_str());
    if let Err(error) = kept.decode::<Value>() {
        panic!("{error}: {}", payload.as_str());
    }
    let copied = self::payload(&again).expect("the same").to_kept_in(&shared);
    assert_eq!(copied, kept);
    assert_eq!(RawJson::parse(kept.as_str()).ok().as_ref(), Some(&kept));
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

fn assert_names_place_only(error: &FrameError) {
    assert!(error.to_string().len() < 100, "{error}");
}
