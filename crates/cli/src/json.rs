//! JSON for people and for programs, as texts: what a gateway sent is never made a value on its way out, because no value holds all
//! that JSON may be (half a character, a number such as `1e999`, a thousand brackets).

use std::fmt::Write as _;

use serde::Serialize;
use windlass_protocol::steers;

/// Levels that are set in on a line of their own; deeper ones stand below the last: a megabyte of brackets would be a terabyte of
/// blanks.
const INDENTED: usize = 64;

/// One line of JSON in which nothing can steer a terminal.
pub(crate) fn line(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(compact(&serde_json::to_string(value)?))
}

/// A text of JSON on one line, with everything that could steer a terminal escaped; it reads as the same value.
pub(crate) fn compact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut place = Place::Outside;
    for character in text.chars() {
        if place.outside() && character.is_ascii_whitespace() {
            continue;
        }
        place.pass(character);
        push(&mut shown, character);
    }
    shown
}

/// A text of JSON on lines that are set in, with everything that could steer a terminal escaped; it reads as the same value.
pub(crate) fn pretty(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() * 2);
    let mut place = Place::Outside;
    let (mut depth, mut is_empty) = (0_usize, false);
    for character in text.chars() {
        let outside = place.outside();
        if outside && character.is_ascii_whitespace() {
            continue;
        }
        place.pass(character);
        let closes = outside && matches!(character, '}' | ']');
        if closes {
            depth = depth.saturating_sub(1);
        }
        if closes != is_empty {
            new_line(&mut shown, depth);
        }
        is_empty = false;
        push(&mut shown, character);
        match character {
            '{' | '[' if outside => {
                depth += 1;
                is_empty = true;
            }
            ',' if outside => new_line(&mut shown, depth),
            ':' if outside => shown.push(' '),
            _ => {}
        }
    }
    shown
}

fn new_line(shown: &mut String, depth: usize) {
    shown.push('\n');
    shown.extend(std::iter::repeat_n("  ", depth.min(INDENTED)));
}

/// JSON escapes C0 controls by itself, and leaves the rest alone.
fn push(shown: &mut String, character: char) {
    if !steers(character) {
        return shown.push(character);
    }
    for unit in character.encode_utf16(&mut [0; 2]) {
        let _ = write!(shown, "\\u{unit:04x}");
    }
}

/// Where in a text of JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    String,
    /// Behind a backslash.
    Escape,
}

impl Place {
    fn outside(self) -> bool {
        self == Self::Outside
    }

    fn pass(&mut self, character: char) {
        *self = match (*self, character) {
            (Self::Outside, '"') | (Self::Escape, _) => Self::String,
            (Self::String, '"') => Self::Outside,
            (Self::String, '\\') => Self::Escape,
            (place, _) => place,
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_shown_reads_as_the_same_value() {
        let value = json!({"t": ["\u{1b}\u{7f}\u{9b}\u{202e}\u{2028}\nä\u{feff}\u{61c}\u{e0041}\"\\", {}, [], [{}], 1.5, null], "{": ":,"});
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let (line, lines) = (compact(&text), pretty(&text));
            assert_eq!(line.parse::<Value>().unwrap(), value);
            assert_eq!(lines.parse::<Value>().unwrap(), value);
            assert!(!line.chars().any(steers), "{line:?}");
            assert!(!lines.replace('\n', "").chars().any(steers), "{lines:?}");
        }
    }

    #[test]
    fn lines_are_set_in_as_people_are_used_to() {
        let value = json!({"a": [1, {"b": null}], "c": {}, "d": [], "e": "x, y: {"});
        assert_eq!(
            pretty(&value.to_string()),
            serde_json::to_string_pretty(&value).unwrap()
        );
        assert_eq!(pretty("3"), "3");
    }

    #[test]
    fn what_no_value_holds_stays_as_it_came() {
        let text = r#"{"cut":"\ud83d","big":1e999}"#;
        assert_eq!(compact(text), text);
        assert_eq!(pretty(text), "{\n  \"cut\": \"\\ud83d\",\n  \"big\": 1e999\n}");
        let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
        assert_eq!(compact(&deep), deep);
        assert!(pretty(&deep).len() < 50_000 * 2 * (INDENTED + 2) * 2);
    }
}
