//! JSON kept as the text it came in: parsed by the reader that needs it, never copied.
//!
//! Some JSON is legal as a text, and no tree of values can hold it. Gateways are JavaScript programs: they cut texts between the two halves of a character, and write the half that is left as an
//! escape (`\ud83d`), as JSON allows. No string of Rust holds it. The same goes for a number such as `1e999`, and for more
//! brackets within each other than serde_json takes (127). [`decode`] reads all of these, with something else in their place;
//! the text itself stays as it is, for those that pass it on.
//!
//! A program that sends back a text that it read has to keep the halves. [`marked`] writes each as a mark and its four
//! digits while it is in the program, and [`unmarked`] as the half again when it leaves: nothing is lost, also where a text has the mark itself.

use std::borrow::Cow;
use std::{fmt, io};

use bytestring::ByteString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// One JSON value as text, cheap to clone and to send between threads.
///
/// An answer's payload is a slice of the frame that carried it, where it is most of the frame or the frame is small: then holding it
/// keeps the frame in memory. `Debug` shows only the length: a payload may carry anything, secrets included.
#[derive(Clone, PartialEq, Eq)]
pub struct RawJson(ByteString);

impl RawJson {
    /// Serialises a value.
    ///
    /// # Errors
    /// When the value can't be written as JSON (a map with keys that aren't strings, for example).
    pub fn from_value<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        // Without room to spare the text is taken as it is; with some, `ByteString` would put a count beside it.
        let mut on_stack = OnStack::new();
        match serde_json::to_writer(&mut on_stack, value) {
            Ok(()) => Ok(Self(on_stack.text().into())),
            Err(error) if error.is_io() => {
                serde_json::to_string(value).map(|text| Self(String::from(text.into_boxed_str()).into()))
            }
            Err(error) => Err(error),
        }
    }

    /// Takes a text that has to be exactly one JSON value.
    ///
    /// # Errors
    /// When the text is not JSON; the error names line and column.
    pub fn parse(text: impl Into<String>) -> Result<Self, serde_json::Error> {
        let text = text.into();
        serde_json::from_str::<&RawValue>(&text)?;
        Ok(Self(text.into()))
    }

    /// The JSON value `null`.
    pub const fn null() -> Self {
        Self(ByteString::from_static("null"))
    }

    /// Longest payload that is copied where it may wait long, in bytes: a copy takes half a microsecond at most.
    pub const COPIED: usize = 16 * 1024;
    /// A part of a frame of at most this length is never copied: it keeps little memory alive.
    const SMALL_FRAME: usize = 4 * 1024;

    /// A part of a frame: without copying where it makes up three quarters of the frame or the frame is small. A copy where it does
    /// not lie inside `frame`.
    pub(crate) fn part_of(frame: &ByteString, part: &str) -> Self {
        let (whole, piece) = (frame.as_bytes().as_ptr_range(), part.as_bytes().as_ptr_range());
        let inside = whole.start <= piece.start && piece.end <= whole.end;
        let most = frame.len() <= Self::SMALL_FRAME || part.len() >= frame.len() / 4 * 3;
        if inside && most {
            Self(frame.slice_ref(part))
        } else {
            Self::copy_of(part)
        }
    }

    /// The same text in memory of its own.
    pub(crate) fn copy_of(text: &str) -> Self {
        Self(text.into())
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the value as a type; half a character is read as U+FFFD, as by [`decode`].
    ///
    /// # Errors
    /// When the JSON does not have that type's shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        decode(&self.0)
    }
}

/// A short text while it is written, so that it is put on the heap once and not as often as it outgrows its place there.
struct OnStack {
    bytes: [u8; Self::ROOM],
    len: usize,
}

impl OnStack {
    /// The parameters of most requests are shorter.
    const ROOM: usize = 256;

    const fn new() -> Self {
        Self {
            bytes: [0; Self::ROOM],
            len: 0,
        }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("serde_json writes text")
    }
}

impl io::Write for OnStack {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.len + bytes.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(io::ErrorKind::WriteZero)?;
        room.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawJson({} bytes)", self.0.len())
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(String::from(Box::<str>::from(raw)).into()))
    }
}

/// Stands before the digits of half a character: a code point that is no character, for use inside a program only.
const MARK: char = '\u{fdd0}';

/// Nested brackets that are kept; deeper values become `null`. serde_json takes 127: the rest is for the brackets that a caller puts
/// around a value.
pub const MAX_DEPTH: usize = 100;

/// Reads a text of a gateway as a type.
///
/// A half of a character is read as U+FFFD, a number that is too large as `null` (which JavaScript writes in its place), a value
/// more than [`MAX_DEPTH`] brackets deep as `null`. A text with none of these costs no more than serde_json.
///
/// # Errors
/// serde_json's: the text is not JSON, or has another shape.
pub fn decode<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    decode_with(text, |text| serde_json::from_str(text))
}

/// [`decode`] for a type that borrows: `read` gets the text, and once more a legible copy of it where it could not read the text
/// and the copy differs. Its result must not borrow from its argument.
///
/// # Errors
/// Those of `read`: for the text itself where that is not JSON, for the copy where its shape is wrong.
pub fn decode_with<R>(
    text: &str,
    mut read: impl FnMut(&str) -> Result<R, serde_json::Error>,
) -> Result<R, serde_json::Error> {
    read(text).or_else(|error| {
        let Some(copy) = legible(text) else {
            return Err(error);
        };
        read(&copy).map_err(|of_copy| if of_copy.is_data() { of_copy } else { error })
    })
}

/// A copy of a text of JSON that serde_json can read as a tree; nothing where the text needs no change.
pub fn legible(text: &str) -> Option<String> {
    rewritten(text, Halves::Replaced)
}

/// The treatment of half a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Halves {
    /// U+FFFD stands in its place, and `null` in the place of other values that no tree can hold.
    Replaced,
    /// It is written as [`MARK`] and four digits, and so is the mark itself where it stands in the text: nothing is lost.
    Marked,
}

/// A copy of a text of JSON, with another spelling of values that no tree can hold; `None` where the text needs no change. A text that is
/// not JSON comes out as something that is not JSON either.
fn rewritten(text: &str, halves: Halves) -> Option<String> {
    let mut copy = Copy {
        text,
        halves,
        written: String::new(),
        done: 0,
    };
    copy.walk();
    (copy.done > 0).then(|| {
        copy.written.push_str(&text[copy.done..]);
        copy.written
    })
}

/// A copy that is made; nothing is written before the first change.
struct Copy<'a> {
    text: &'a str,
    halves: Halves,
    written: String,
    /// How much of the text was copied or replaced.
    done: usize,
}

impl Copy<'_> {
    fn replace(&mut self, from: usize, to: usize, with: &str) {
        self.written.push_str(&self.text[self.done..from]);
        self.written.push_str(with);
        self.done = to;
    }

    fn walk(&mut self) {
        let bytes = self.text.as_bytes();
        let (mut at, mut depth) = (0, 0_usize);
        // Where the value begins that is too deep.
        let mut deep = None;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => at = self.string(at + 1, deep.is_none()),
                b'{' | b'[' => {
                    depth += 1;
                    if depth == MAX_DEPTH + 1 && self.halves == Halves::Replaced {
                        deep = Some(at);
                    }
                    at += 1;
                }
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    at += 1;
                    if depth == MAX_DEPTH
                        && let Some(from) = deep.take()
                    {
                        self.replace(from, at, "null");
                    }
                }
                b'-' | b'0'..=b'9' => at = self.number(at, deep.is_none()),
                _ => at += 1,
            }
        }
    }

    /// Passes a number; gives the place behind it.
    fn number(&mut self, from: usize, is_kept: bool) -> usize {
        let rest = &self.text.as_bytes()[from..];
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let to = from + rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let is_infinite = || self.text[from..to].parse().is_ok_and(f64::is_infinite);
        if is_kept && self.halves == Halves::Replaced && is_infinite() {
            self.replace(from, to, "null");
        }
        to
    }

    /// Passes a string that has begun; gives the place behind its closing quote.
    fn string(&mut self, mut at: usize, is_kept: bool) -> usize {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => return at + 1,
                b'\\' => at = self.escape(at, is_kept),
                // The first byte of the mark.
                0xef if is_kept && self.halves == Halves::Marked && self.text[at..].starts_with(MARK) => {
                    self.mark(at, at + MARK.len_utf8(), MARK as u32);
                    at += MARK.len_utf8();
                }
                _ => at += 1,
            }
        }
        at
    }

    /// Passes an escape; gives the place behind it.
    fn escape(&mut self, at: usize, is_kept: bool) -> usize {
        const LENGTH: usize = r"\ud83d".len();
        let Some(unit) = unit_at(self.text, at) else {
            return at + 2;
        };
        let is_whole = match unit {
            0xd800..=0xdbff => matches!(unit_at(self.text, at + LENGTH), Some(0xdc00..=0xdfff)),
            0xdc00..=0xdfff => false,
            _ => {
                if is_kept && self.halves == Halves::Marked && unit == MARK as u32 {
                    self.mark(at, at + LENGTH, unit);
                }
                return at + LENGTH;
            }
        };
        if is_whole {
            return at + 2 * LENGTH;
        }
        match self.halves {
            _ if !is_kept => {}
            Halves::Replaced => self.replace(at, at + LENGTH, "\u{fffd}"),
            Halves::Marked => self.mark(at, at + LENGTH, unit),
        }
        at + LENGTH
    }

    fn mark(&mut self, from: usize, to: usize, unit: u32) {
        self.replace(from, to, &format!("{MARK}{unit:04x}"));
    }
}

/// The unit of UTF-16 that is escaped at this place, if one is.
fn unit_at(text: &str, at: usize) -> Option<u32> {
    let digits = text.get(at..at + 6)?.strip_prefix(r"\u")?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// A text of JSON with each half of a character marked in it; only [`unmarked`] restores it.
pub fn marked(text: &str) -> Cow<'_, str> {
    rewritten(text, Halves::Marked).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// A text of JSON that was [`marked`], with halves of characters again.
pub fn unmarked(text: &str) -> Cow<'_, str> {
    replaced(text, |digits| format!(r"\u{digits}"))
}

/// A string out of a [`marked`] text, for people: U+FFFD in the place of half a character.
pub fn unmarked_for_people(text: &str) -> Cow<'_, str> {
    replaced(text, |digits| {
        if digits == "fdd0" { MARK } else { '\u{fffd}' }.to_string()
    })
}

/// Half a character as it stands in a [`marked`] text, by its unit of UTF-16.
pub fn marked_half(unit: u16) -> String {
    format!("{MARK}{unit:04x}")
}

fn replaced(text: &str, with: impl Fn(&str) -> String) -> Cow<'_, str> {
    let mut parts = text.split(MARK);
    let first = parts.next().unwrap_or_default();
    if first.len() == text.len() {
        return Cow::Borrowed(text);
    }
    let mut written = first.to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(4).unwrap_or((part, ""));
        written.push_str(&with(digits));
        written.push_str(rest);
    }
    Cow::Owned(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_inside_a_frame_is_not_copied() {
        let frame = ByteString::from(r#"{"payload":{"a":1}}"#);
        let payload = RawJson::part_of(&frame, &frame[11..18]);
        assert_eq!(payload.as_str(), r#"{"a":1}"#);
        assert_eq!(payload.as_str().as_ptr(), frame[11..].as_ptr());
    }

    #[test]
    fn a_small_part_of_a_large_frame_is_copied() {
        let lies_in =
            |frame: &ByteString, part: &RawJson| frame.as_bytes().as_ptr_range().contains(&part.as_str().as_ptr());
        for (junk, payload, slice) in [
            (4_000, 50, true),
            (5_000, 50, false),
            (5_000, 14_000, false),
            (5_000, 16_000, true),
        ] {
            let frame = ByteString::from(format!("{}{}", "x".repeat(junk), "1".repeat(payload)));
            let part = RawJson::part_of(&frame, &frame[junk..]);
            assert_eq!(part.as_str(), &frame[junk..]);
            assert_eq!(lies_in(&frame, &part), slice, "{junk} {payload}");
        }
    }

    #[test]
    fn a_value_from_elsewhere_is_copied() {
        let frame = ByteString::from("{}");
        assert_eq!(RawJson::part_of(&frame, "[1]").as_str(), "[1]");
    }

    #[test]
    fn a_value_is_written_whole_however_long_it_is() {
        for length in [0, 1, 253, 254, 255, 256, 257, 10_000] {
            let text = "x".repeat(length);
            assert_eq!(RawJson::from_value(&text).unwrap().as_str(), format!("\"{text}\""));
        }
    }

    #[test]
    fn a_value_that_is_no_json_is_refused() {
        assert!(RawJson::from_value(&std::collections::BTreeMap::from([((1, 2), 3)])).is_err());
    }

    #[test]
    fn text_that_is_not_one_json_value_is_refused() {
        for text in ["", "{", "1 2", "{\"a\":}"] {
            assert!(RawJson::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_shows_the_length_and_never_the_text() {
        let json = RawJson::parse(r#"{"token":"s3cret"}"#).unwrap();
        assert_eq!(format!("{json:?}"), "RawJson(18 bytes)");
    }
}

#[cfg(test)]
mod legible_tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn half_a_character_is_read_as_the_replacement_character() {
        let read = |text: &str| decode::<Value>(text).unwrap();
        assert_eq!(read(r#"{"label":"lab\ud83d"}"#), json!({"label": "lab\u{fffd}"}));
        assert_eq!(
            read(r#"["\ude00", "\uD83D\ud83d\ude00", "\ud83d\n", "\\ud83d", "\ud83d\\u"]"#),
            json!(["\u{fffd}", "\u{fffd}😀", "\u{fffd}\n", "\\ud83d", "\u{fffd}\\u"])
        );
        assert_eq!(read(r#"{"a\udc00":1}"#), json!({"a\u{fffd}": 1}));
        assert_eq!(decode::<String>(r#""\ud83dx""#).unwrap(), "\u{fffd}x");
    }

    #[test]
    fn what_no_tree_can_hold_is_null() {
        let deep = |levels: usize| format!("{}\"\\ud83d\"{}", "[".repeat(levels), "]".repeat(levels));
        let mut value = decode::<Value>(&deep(100_000)).unwrap();
        for _ in 0..MAX_DEPTH {
            value = value[0].take();
        }
        assert_eq!(value, Value::Null);
        assert_eq!(
            decode::<Value>("[1e999, -1e+400, 1e300, -0]").unwrap(),
            json!([null, null, 1e300, -0.0])
        );
        let digits = "9".repeat(400);
        assert_eq!(decode::<Value>(&format!("[{digits}]")).unwrap(), json!([null]));
        assert_eq!(decode::<Option<f64>>("1e999").unwrap(), None);
    }

    #[test]
    fn what_is_no_json_stays_none_and_the_error_is_of_the_text_itself() {
        for text in [
            "",
            "{",
            r#"["\ud83d""#,
            r#"["\ud8"]"#,
            "[1e999",
            "\"\\ud83d\" 1",
            "[\"\\ud83d\", nul]",
        ] {
            let error = decode::<Value>(text).unwrap_err().to_string();
            assert_eq!(
                error,
                serde_json::from_str::<Value>(text).unwrap_err().to_string(),
                "{text}"
            );
        }
    }

    /// Texts of JSON with halves of characters, numbers that are too large, and brackets.
    fn any_text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            r#""(\\ud83d|\\ude00|\\u[0-9a-f]{4}|[a-z😀\u{fdd0}]|\\n|\\\\){0,6}""#,
            "-?[1-9]{1,3}(\\.[0-9])?(e[+-]?[1-9]{1,3})?",
            Just("null".to_owned()),
        ];
        part.prop_recursive(6, 24, 4, |inner| {
            prop::collection::vec(inner, 0..4).prop_map(|parts| format!("[{}]", parts.join(",")))
        })
    }

    proptest! {
        #[test]
        fn any_json_can_be_read(text in any_text()) {
            prop_assert!(decode::<Value>(&text).is_ok(), "{}", text);
            let Ok(plain) = serde_json::from_str::<Value>(&text) else { return Ok(()) };
            prop_assert_eq!(decode::<Value>(&text).unwrap(), plain);
        }

        #[test]
        fn reading_never_panics(text in ".{0,40}") {
            let _ = (decode::<Value>(&text), rewritten(&text, Halves::Marked));
        }

        #[test]
        fn a_copy_needs_no_other_copy(text in any_text()) {
            if let Some(copy) = legible(&text) {
                prop_assert_eq!(legible(&copy), None);
                prop_assert!(serde_json::from_str::<Value>(&copy).is_ok());
            }
        }
    }
}

#[cfg(test)]
mod marked_tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    proptest! {
        #[test]
        fn what_was_marked_comes_back_as_it_was(name in r"(\\ud83d|\\ude00|\\u[0-9a-f]{4}|[a-z\u{fdd0}😀]|\\n|\\\\){0,8}") {
            let text = format!(r#"["{name}","{name}"]"#);
            let value: Value = serde_json::from_str(&marked(&text)).unwrap();
            let back = unmarked(&value.to_string()).into_owned();
            // The same units, however they are escaped.
            let again: Value = serde_json::from_str(&marked(&back)).unwrap();
            prop_assert_eq!(again, value, "{}", back);
            prop_assert_eq!(decode::<Value>(&back).unwrap(), decode::<Value>(&text).unwrap());
        }
    }

    #[test]
    fn people_see_the_replacement_character() {
        assert_eq!(
            unmarked_for_people(&format!("Ro{}!", marked_half(0xd83d))),
            "Ro\u{fffd}!"
        );
        assert_eq!(unmarked_for_people("\u{fdd0}fdd0d83d"), "\u{fdd0}d83d");
        assert!(matches!(unmarked_for_people("plain"), Cow::Borrowed("plain")));
    }
}
