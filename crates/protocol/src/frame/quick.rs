//! The two frames that come most, read without a parser: `{"type":"res","id":…,"ok":true,"payload":…}` and
//! `{"type":"event","event":…,"payload":…,"seq":…}`, as all nine releases of 2026 write them.
//!
//! A payload is found by its brackets and quotes: it begins and ends where it seems to, its strings are strings, and nothing
//! stands in it that no JSON has. Whoever decodes it finds out the rest. Anything that looks different is left to serde.

use std::borrow::Cow;

use super::{EventFrame, Frame, Payload, Response};

/// Brackets that may be open at a time: one bit each.
const MAX_DEPTH: u32 = 64;

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

/// What stands before the next quote, and what comes after it; nothing where there is an escape.
fn plain_text(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| matches!(byte, b'"' | b'\\' | ..=0x1f))?;
    (text.as_bytes()[end] == b'"').then(|| (&text[..end], &text[end + 1..]))
}

/// The object or array that `text` begins with, and what comes after it.
fn container(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut objects) = (0, 0_u32, 0_u64);
    loop {
        match *bytes.get(at)? {
            b'"' => at = string_end(bytes, at + 1)?,
            open @ (b'{' | b'[') => {
                if depth == MAX_DEPTH {
                    return None;
                }
                depth += 1;
                objects = objects << 1 | u64::from(open == b'{');
            }
            close @ (b'}' | b']') => {
                if depth == 0 || (objects & 1 == 1) != (close == b'}') {
                    return None;
                }
                depth -= 1;
                objects >>= 1;
            }
            byte if BETWEEN[byte as usize] => {}
            _ => return None,
        }
        at += 1;
        if depth == 0 {
            // A scalar or a string is no container.
            let whole = matches!(bytes[at - 1], b'}' | b']');
            return whole.then(|| text.split_at(at));
        }
    }
}

/// The bytes of numbers, literals and what stands between values.
const BETWEEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "less than 256")]
        let is = matches!(byte as u8, b',' | b':' | b'0'..=b'9' | b'a'..=b'z' | b'-' | b'+' | b'.' | b'E' | b' ');
        table[byte] = is;
        byte += 1;
    }
    table
};

/// Where a string ends that has begun: the place of its closing quote.
fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        // Eight bytes at a time, as long as none of them ends the string, escapes or is a control character.
        while let Some(chunk) = bytes.get(at..at + 8) {
            let word = u64::from_le_bytes(chunk.try_into().ok()?);
            let special = string_ends_or_escapes(word);
            if special != 0 {
                at += (special.trailing_zeros() / 8) as usize;
                break;
            }
            at += 8;
        }
        match *bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at = escape_end(bytes, at + 1)?,
            ..=0x1f => return None,
            _ => at += 1,
        }
    }
}

/// Where to go on after an escape, of which the backslash was read.
fn escape_end(bytes: &[u8], at: usize) -> Option<usize> {
    match *bytes.get(at)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
        b'u' => {
            let digits = bytes.get(at + 1..at + 5)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(at + 5)
        }
        _ => None,
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The high bit of the first byte of `word` that is a quote, a backslash or a control character, and perhaps of some after it.
///
/// A byte minus one has its high bit, and the byte itself has not, if it is zero; or if one was borrowed for a byte before it.
const fn string_ends_or_escapes(word: u64) -> u64 {
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let control = word.wrapping_sub(ONES * 0x20);
    (quote | backslash | control) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Any JSON that serde writes, some levels deep.
    fn any_json() -> impl Strategy<Value = Value> {
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
        fn a_container_is_found_wherever_it_ends(value in any_json(), rest in "[,}][a-z\"{}]{0,9}") {
            let text = value.to_string();
            let joined = format!("{text}{rest}");
            let found = container(&joined);
            if value.is_object() || value.is_array() {
                prop_assert_eq!(found, Some((text.as_str(), rest.as_str())));
            } else {
                prop_assert_eq!(found, None);
            }
        }

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
            r#"{"type":"res","id":"1","ok":true,"payload":"text"}"#,
            r#"{"type":"res","id":"1","ok":true,"payload":null}"#,
            r#"{"type":"res","id":"\u0031","ok":true,"payload":{}}"#,
            r#"{"type":"event","event":"a","payload":{},"stateVersion":{}}"#,
            r#"{"type":"event","event":"a","payload":{"a":"\x"}}"#,
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
