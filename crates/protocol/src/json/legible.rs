//! JSON that is legal as a text and that no tree of values can hold, made legible.
//!
//! Gateways are JavaScript programs: they cut texts between the two halves of a character, and write the half that is left as an
//! escape (`\ud83d`), as JSON allows. No string of Rust holds it. The same goes for a number such as `1e999`, and for more
//! brackets within each other than serde_json takes (127). [`decode`] reads all of these, with something else in their place;
//! the text itself stays as it is, for those that pass it on.

use serde::de::DeserializeOwned;

/// Stands before the digits of half a character: a code point that is no character, for use inside a program only.
pub(super) const MARK: char = '\u{fdd0}';

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
pub(super) enum Halves {
    /// U+FFFD stands in its place, and `null` in the place of other values that no tree can hold.
    Replaced,
    /// It is written as [`MARK`] and four digits, and so is the mark itself where it stands in the text: nothing is lost.
    Marked,
}

/// A copy of a text of JSON, with another spelling of values that no tree can hold; `None` where the text needs no change. A text that is
/// not JSON comes out as something that is not JSON either.
pub(super) fn rewritten(text: &str, halves: Halves) -> Option<String> {
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

#[cfg(test)]
mod tests {
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
