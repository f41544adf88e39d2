//! The two frames that come most, read without a parser: `{"type":"res","id":…,"ok":true,"payload":…}` and
//! `{"type":"event","event":…,"payload":…,"seq":…}`, as all nine releases of 2026 write them.
//!
//! A payload is passed over by the grammar of JSON, so every payload that is handed on is JSON. Anything that looks different is
//! left to serde.
//! The grammar gives no values, only where an object or an array ends. Strings are passed eight bytes at a time and nothing is kept, so this costs no more than looking for the closing bracket.
//! Blanks other than a space, and brackets nested deeper than [`MAX_DEPTH`], are left to the parser.

use std::borrow::Cow;

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

/// Brackets that may be open at a time: one bit each.
const MAX_DEPTH: u32 = 64;

/// The object or array that `text` begins with, and the text after it; nothing where it is not JSON.
pub(super) fn container(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    if !matches!(bytes.first()?, b'{' | b'[') {
        return None;
    }
    let mut open = Open::default();
    let mut at = 0;
    loop {
        // A value begins here.
        at = match *bytes.get(at)? {
            b'"' => string_end(bytes, at + 1)?,
            bracket @ (b'{' | b'[') => {
                open.push(bracket == b'{')?;
                at = blanks_end(bytes, at + 1);
                if *bytes.get(at)? != bracket + 2 {
                    at = open.next_value(bytes, at)?;
                    continue;
                }
                open.pop();
                at + 1
            }
            b'-' | b'0'..=b'9' => number_end(bytes, at)?,
            b't' => literal_end(bytes, at, b"true")?,
            b'f' => literal_end(bytes, at, b"false")?,
            b'n' => literal_end(bytes, at, b"null")?,
            _ => return None,
        };
        // It has ended, and with it all that a bracket closes.
        loop {
            if open.depth == 0 {
                return Some(text.split_at(at));
            }
            at = blanks_end(bytes, at);
            match *bytes.get(at)? {
                b',' => break,
                b'}' if open.in_object() => open.pop(),
                b']' if !open.in_object() => open.pop(),
                _ => return None,
            }
            at += 1;
        }
        at = open.next_value(bytes, blanks_end(bytes, at + 1))?;
    }
}

/// The brackets that are open, the innermost in the lowest bit.
#[derive(Default)]
struct Open {
    depth: u32,
    objects: u64,
}

impl Open {
    const fn push(&mut self, object: bool) -> Option<()> {
        if self.depth == MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        self.objects = self.objects << 1 | object as u64;
        Some(())
    }

    const fn pop(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }

    const fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    /// Where the next value begins: behind its name, if it is in an object.
    #[expect(
        clippy::inline_always,
        reason = "with a call for each member this takes more instructions than a table of bytes"
    )]
    #[inline(always)]
    fn next_value(&self, bytes: &[u8], at: usize) -> Option<usize> {
        if !self.in_object() {
            return Some(at);
        }
        if *bytes.get(at)? != b'"' {
            return None;
        }
        let colon = blanks_end(bytes, string_end(bytes, at + 1)?);
        (*bytes.get(colon)? == b':').then(|| blanks_end(bytes, colon + 1))
    }
}

fn blanks_end(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at) == Some(&b' ') {
        at += 1;
    }
    at
}

fn literal_end(bytes: &[u8], at: usize, literal: &[u8]) -> Option<usize> {
    bytes.get(at..)?.starts_with(literal).then(|| at + literal.len())
}

/// The end of a number: a sign, digits without a needless zero before them, a fraction, an exponent.
fn number_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = if bytes.get(at) == Some(&b'0') {
        at + 1
    } else {
        digits_end(bytes, at)?
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits_end(bytes, at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = digits_end(bytes, at)?;
    }
    Some(at)
}

/// The end of one or more digits.
fn digits_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    (at > start).then_some(at)
}

/// The place behind the closing quote of a string that has begun.
#[expect(
    clippy::inline_always,
    reason = "strings are short: the calls would be a fifth of all instructions here"
)]
#[inline(always)]
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
            b'"' => return Some(at + 1),
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
                let slow = crate::frame::decode_any(&text).unwrap();
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

#[cfg(test)]
mod syntax_tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::tests::any_json;
    use super::*;

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
        fn a_text_is_taken_if_and_only_if_it_is_json(text in "[\\[{](\"a\"|[\\[\\]{},:0-9eE.+\\- ]|true|fals|null|\\\\){0,12}[\\]}]") {
            let found = container(&text).filter(|(_, rest)| rest.is_empty());
            prop_assert_eq!(found.is_some(), serde_json::from_str::<&RawValue>(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn tokens_in_the_wrong_order_are_no_json() {
        for text in [
            "{:}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\" 1}",
            "{1:2}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\":1 \"b\":2}",
            "{a:1}",
            "[1 2]",
            "[,]",
            "[1,]",
            "[tru]",
            "[nullx]",
            "[truefalse]",
            "[01]",
            "[-]",
            "[1.]",
            "[.5]",
            "[1e]",
            "[+1]",
            "[1-2]",
            "[--1]",
            "[e]",
            "[:]",
            "[\"a\":1]",
            "[\"a\"\"b\"]",
            "[}",
            "{]",
            "{\"a\":[}",
            "[1]]",
        ] {
            let found = container(text).filter(|(_, rest)| rest.is_empty());
            assert!(found.is_none(), "{text}");
        }
        for text in [
            "{}",
            "[]",
            "{ }",
            "[ ]",
            "[ 1 , -0.5e+3 ]",
            "{ \"a\" : [ { } ] , \"b\" : null }",
            "[1e999,\"\\ud83d\"]",
        ] {
            assert_eq!(container(text), Some((text, "")), "{text}");
        }
    }
}
