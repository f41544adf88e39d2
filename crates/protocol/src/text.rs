//! Text from the other side, made fit for a log line or a terminal.
//! [`Secret`] holds a text that must never get there.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// Longest name (code, scope, event) shown, in characters: the longest real one has 41.
pub const NAME_LIMIT: usize = 80;

/// Longest message shown, in characters: a gateway has been seen to echo a 25 MiB request in its error.
pub const MESSAGE_LIMIT: usize = 400;

/// Shows `text` without control and invisible formatting characters, cut to `limit` characters (then a `…`).
pub fn printable(text: &str, limit: usize) -> Printable<'_> {
    Printable { text, limit }
}

/// See [`printable`].
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a> {
    text: &'a str,
    limit: usize,
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        let mut shown = self.text.chars().filter(|c| !steers(*c));
        for c in shown.by_ref().take(self.limit) {
            f.write_char(c)?;
        }
        if shown.next().is_some() {
            f.write_char('…')
        } else {
            Ok(())
        }
    }
}

/// Whether a character steers the program that shows it: a control character forges lines and terminal escapes, a format
/// character (general category Cf, with all direction marks, joiners and tags) reorders, joins or hides its neighbours, a
/// line or paragraph separator is a line end to some programs.
///
/// Characters that Unicode keeps free for such use count too.
pub fn steers(c: char) -> bool {
    use GeneralCategory::{Format, LineSeparator, ParagraphSeparator};
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let is_kept_free = matches!(c, '\u{2065}' | '\u{e0000}'..='\u{e007f}');
    c.is_control() || is_kept_free || matches!(c.general_category(), Format | LineSeparator | ParagraphSeparator)
}

/// A secret text. It is wiped when dropped, `Debug` shows `Secret(***)`, and there is no `Display` and no `Serialize`.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a secret over.
    pub fn new(value: impl Into<String>) -> Self {
        Self(SecretString::from(value.into()))
    }

    /// The text itself: for the one place that needs it, never for a message.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

/// Compares in a time that depends on the lengths only.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// A secret on its way onto the wire: every serialised secret of this crate goes through here.
pub(crate) struct Exposed<'a>(pub(crate) &'a Secret);

impl Serialize for Exposed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_line_breaks_and_direction_marks_are_dropped() {
        let text = printable("a\u{1b}[31mb\r\nc\u{202e}d\u{2028}e\0", 100).to_string();
        assert_eq!(text, "a[31mbcde");
    }

    #[test]
    fn every_format_character_and_every_direction_mark_steers() {
        // The bidirectional controls of Unicode, and what else the category says; written out, so that another table shows.
        let direction = [
            '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
        ];
        let isolates = ['\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}'];
        let others = [
            '\u{ad}', '\u{600}', '\u{6dd}', '\u{70f}', '\u{890}', '\u{8e2}', '\u{180e}', '\u{200b}', '\u{200c}',
            '\u{200d}',
        ];
        let separators = [
            '\u{2028}', '\u{2029}', '\u{2060}', '\u{2064}', '\u{2065}', '\u{206f}', '\u{feff}', '\u{fff9}', '\u{fffb}',
        ];
        let far = [
            '\u{110bd}',
            '\u{13430}',
            '\u{1bca0}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0020}',
            '\u{e007f}',
            '\u{0}',
            '\u{7f}',
            '\u{9b}',
        ];
        for c in [&direction[..], &isolates, &others, &separators, &far]
            .into_iter()
            .flatten()
        {
            assert!(steers(*c), "{c:?}");
        }
        let shown = " aä漢ع😀\u{301}\u{fe0f}\u{fffd}~";
        assert!(!shown.chars().any(steers));
        let formats = (0..=0x0010_ffff)
            .filter_map(char::from_u32)
            .filter(|c| !c.is_control() && steers(*c))
            .count();
        assert!((170..260).contains(&formats), "{formats}");
    }

    #[test]
    fn the_cut_counts_characters_not_bytes() {
        assert_eq!(printable("ééé", 3).to_string(), "ééé");
        assert_eq!(printable("éééé", 3).to_string(), "ééé…");
        assert_eq!(printable("ab\n", 2).to_string(), "ab");
    }
}

#[cfg(test)]
mod secret_tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_secret() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret:?} {:#?}", Some(secret.clone())),
            "Secret(***) Some(\n    Secret(***),\n)"
        );
    }

    #[test]
    fn secrets_are_equal_when_their_texts_are() {
        assert_eq!(Secret::new("a"), Secret::new("a"));
        assert_ne!(Secret::new("a"), Secret::new("b"));
        assert_ne!(Secret::new("a"), Secret::new("aa"));
        assert!(Secret::new("").is_empty() && !Secret::new("a").is_empty());
    }

    #[test]
    fn a_json_string_decodes_and_a_refused_value_is_not_shown() {
        let secret: Secret = serde_json::from_str("\"t\\u0041\"").unwrap();
        assert_eq!(secret.expose(), "tA");
        assert!(serde_json::from_str::<Secret>("12").is_err());
    }
}
