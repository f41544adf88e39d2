//! Halves of characters kept, for a program that sends back a text that it read.
//!
//! A string of Rust holds no half of a character. Here each is written as [`MARK`] and its four digits while it is in the program,
//! and as the half again when it leaves: nothing is lost, also where a text has the mark itself.

use std::borrow::Cow;

use super::legible::{Halves, MARK, rewritten};

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
            prop_assert_eq!(super::super::decode::<Value>(&back).unwrap(), super::super::decode::<Value>(&text).unwrap());
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
