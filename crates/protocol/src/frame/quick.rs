//! The two frames that come most, read without a parser: `{"type":"res","id":…,"ok":true,"payload":…}` and
//! `{"type":"event","event":…,"payload":…,"seq":…}`, as all nine releases of 2026 write them.
//!
//! A payload is passed over by the grammar of JSON, so every payload that is handed on is JSON. Anything that looks different is
//! left to serde.

use std::borrow::Cow;

use super::syntax::container;
use super::{EventFrame, Frame, Payload, Response};

/// Reads a frame of one of the two usual forms; nothing for any other.
pub(super) fn decode(text: &str) -> Option<Frame<'_>> {
    if let Some(rest) = text.strip_prefix(r#"{"type":"res","id":""#) {
        let (id, rest) = plain_text(rest)?;
        let (payload, rest) = container(rest.strip_prefix(r#","ok":true,"payload":"#)?)?;
        return (rest == "}").then_some(Frame::Response(Response {
            id: Cow::Borrowed(id),
            outcome: Ok(Payload(Some(payload))),
        }));
    }
    let (name, rest) = plain_text(text.strip_prefix(r#"{"type":"event","event":""#)?)?;
    let (payload, rest) = container(rest.strip_prefix(r#","payload":"#)?)?;
    let seq = match rest.strip_prefix(r#","seq":"#) {
        Some(number) => Some(plain_number(number.strip_suffix('}')?)?),
        None if rest == "}" => None,
        None => return None,
    };
    Some(Frame::Event(EventFrame {
        name: Cow::Borrowed(name),
        payload: Payload(Some(payload)),
        seq,
    }))
}

/// A number as JSON has it: `parse` alone would take a sign and zeros before it.
fn plain_number(text: &str) -> Option<u64> {
    let plain = text == "0" || matches!(text.bytes().next(), Some(b'1'..=b'9'));
    plain.then(|| text.parse().ok()).flatten()
}

/// The text before the next quote and the text after it; `None` where there is an escape.
fn plain_text(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| matches!(byte, b'"' | b'\\' | ..=0x1f))?;
    (text.as_bytes()[end] == b'"').then(|| (&text[..end], &text[end + 1..]))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Any JSON that serde writes, some levels deep.
    pub(in crate::frame) fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_read_quickly_is_what_serde_reads(payload in any_json(), id in any::<u64>(), seq in any::<Option<u64>>()) {
            let answer = format!(r#"{{"type":"res","id":"{id}","ok":true,"payload":{payload}}}"#);
            let event = match seq {
                Some(seq) => format!(r#"{{"type":"event","event":"chat","payload":{payload},"seq":{seq}}}"#),
                None => format!(r#"{{"type":"event","event":"chat","payload":{payload}}}"#),
            };
            for text in [answer, event] {
                let Some(quick) = decode(&text) else {
                    prop_assert!(!payload.is_object() && !payload.is_array(), "{}", text);
                    continue;
                };
                let slow = super::super::decode_any(&text).unwrap();
                prop_assert_eq!(format!("{quick:?}"), format!("{slow:?}"));
            }
        }
    }

    #[test]
    fn what_looks_different_is_left_to_the_parser() {
        for text in [
            r#"{"type":"res","id":"1","ok":false,"error":{}}"#,
            r#"{"type":"res","id":"1","ok":true,"payload":{}"#,
            r#"{"type":"res","id":"1","ok":true,"payload":{},"more":1}"#,
            r#"{"type":"res","id":"1","ok":true,"payload":{]}"#,
            r#"{"type":"res","id":"1","ok":true,"payload":{"a":}}"#,
            r#"{"type":"res","id":"1","ok":true,"payload":"text"}"#,
            r#"{"type":"res","id":"1","ok":true,"payload":null}"#,
            r#"{"type":"res","id":"\u0031","ok":true,"payload":{}}"#,
            r#"{"type":"event","event":"a","payload":{},"stateVersion":{}}"#,
            r#"{"type":"event","event":"a","payload":{"a":"\x"}}"#,
            r#"{"type":"event","event":"a","payload":[truefalse]}"#,
            "{\"type\":\"event\",\"event\":\"a\",\"payload\":{\"a\":\"\n\"}}",
            r#"{"type":"event","event":"a","payload":{},"seq":-1}"#,
            r#"{"type":"event","event":"a","payload":{},"seq":+1}"#,
            r#"{"type":"event","event":"a","payload":{},"seq":01}"#,
        ] {
            assert!(decode(text).is_none(), "{text}");
        }
        let deep = format!(
            r#"{{"type":"res","id":"1","ok":true,"payload":{}{}}}"#,
            "[".repeat(65),
            "]".repeat(65)
        );
        assert!(decode(&deep).is_none());
    }
}
