//! Text from the other side, made fit for a log line or a terminal.

use std::fmt;

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
        let mut shown = self.text.chars().filter(|c| is_shown(*c));
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

/// Control characters forge lines and terminal escapes; the others reorder or hide what is shown.
fn is_shown(c: char) -> bool {
    !(c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'))
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
    fn the_cut_counts_characters_not_bytes() {
        assert_eq!(printable("ééé", 3).to_string(), "ééé");
        assert_eq!(printable("éééé", 3).to_string(), "ééé…");
        assert_eq!(printable("ab\n", 2).to_string(), "ab");
    }
}
