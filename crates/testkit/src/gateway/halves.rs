//! Texts in units of UTF-16, as gateways keep them: they cut between the two halves of a character, and write the half that is left
//! as an escape (`\ud83d`), which is legal JSON and no string of Rust.
//!
//! In here a half is [`MARK`] and its four digits. It comes in and goes out as the escape.

use serde_json::Value;

/// Stands before the digits of a half: a code point that is no character.
const MARK: char = '\u{fdd0}';

/// Half a character, by its unit of UTF-16, for labels, answers and names that a simulated gateway is to have.
///
/// ```
/// let label = format!("lab{}", windlass_testkit::half(0xd83d));
/// ```
pub fn half(unit: u16) -> String {
    format!("{MARK}{unit:04x}")
}

/// Reads a text of JSON as a gateway does.
pub(crate) fn read(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(&marked(text))
}

/// The same, of a message's bytes; nothing where they are no JSON.
pub(crate) fn read_bytes(bytes: &[u8]) -> Option<Value> {
    read(std::str::from_utf8(bytes).ok()?).ok()
}

/// Writes a value as a gateway does.
pub(crate) fn written(value: &Value) -> String {
    let text = value.to_string();
    let mut parts = text.split(MARK);
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        written.push_str("\\u");
        written.push_str(part);
    }
    written
}

/// The first so many units of a text; a character may be cut in two.
pub(crate) fn cut(text: &str, count: usize) -> String {
    let units = units(text);
    of_units(&units[..units.len().min(count)])
}

/// The same, between two characters.
pub(crate) fn cut_between(text: &str, count: usize) -> String {
    let units = units(text);
    let mut count = units.len().min(count);
    if count > 0 && matches!(units[count - 1], 0xd800..=0xdbff) {
        count -= 1;
    }
    of_units(&units[..count])
}

/// How many units a text has.
pub(crate) fn length(text: &str) -> usize {
    units(text).len()
}

/// A text in which halves that have come together are characters again.
pub(crate) fn joined(text: &str) -> String {
    of_units(&units(text))
}

/// Cuts a text into so many pieces of as many units each; fewer if it is too short.
pub(crate) fn pieces(text: &str, count: u32) -> Vec<String> {
    let units = units(text);
    let count = usize::try_from(count.max(1)).unwrap_or(1).min(units.len().max(1));
    let piece = |at: usize| of_units(&units[at * units.len() / count..(at + 1) * units.len() / count]);
    (0..count).map(piece).collect()
}

fn units(text: &str) -> Vec<u16> {
    let mut units = Vec::with_capacity(text.len());
    let mut parts = text.split(MARK);
    units.extend(parts.next().unwrap_or_default().encode_utf16());
    for part in parts {
        let (digits, rest) = part.split_at_checked(4).unwrap_or((part, ""));
        units.extend(u16::from_str_radix(digits, 16).ok());
        units.extend(rest.encode_utf16());
    }
    units
}

fn of_units(units: &[u16]) -> String {
    char::decode_utf16(units.iter().copied())
        .map(|unit| unit.map_or_else(|half_of| half(half_of.unpaired_surrogate()), String::from))
        .collect()
}

/// The text with a mark for each escape of a half without the other.
fn marked(text: &str) -> String {
    let mut marked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        marked.push_str(&rest[..at]);
        rest = &rest[at..];
        let first = escape(rest);
        let pair = first.zip(rest.get(6..).and_then(escape));
        let taken = match (first, pair) {
            (Some(0xd800..=0xdbff), Some((_, 0xdc00..=0xdfff))) => 12,
            (Some(unit @ 0xd800..=0xdfff), _) => {
                marked.push_str(&half(unit));
                rest = &rest[6..];
                continue;
            }
            (Some(_), _) => 6,
            (None, _) => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        marked.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    marked.push_str(rest);
    marked
}

/// The unit that is escaped where `text` begins.
fn escape(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_comes_in_and_goes_out_as_its_escape() {
        for text in [
            r#"["lab\ud83d"]"#,
            r#"["\ude00 \ud83d\\ud83d","\n\"\\"]"#,
            r#"{"a\udc00":"ä😀"}"#,
        ] {
            assert_eq!(written(&read(text).unwrap()), text);
        }
        assert_eq!(read(r#"["\ud83d\ude00"]"#).unwrap()[0], "😀");
        assert!(read(r#"["\ud83d"#).is_err());
    }

    #[test]
    fn a_cut_may_leave_half_a_character_and_pieces_put_together_are_whole() {
        assert_eq!(cut("ab😀", 3), format!("ab{}", half(0xd83d)));
        assert_eq!(cut_between("ab😀", 3), "ab");
        assert_eq!((cut("ab", 3), length("a😀")), ("ab".to_owned(), 3));
        for (text, count) in [
            ("hello there", 4),
            ("größe", 9),
            ("", 3),
            ("one", 1),
            ("😀😀", 4),
            ("a😀b", 2),
        ] {
            assert_eq!(joined(&pieces(text, count).concat()), text);
        }
        assert_eq!(pieces("abcdef", 3), ["ab", "cd", "ef"]);
        assert_eq!(pieces("😀", 2), [half(0xd83d), half(0xde00)]);
    }
}
