//! Texts made fit for a terminal, and times made fit for people.

use std::fmt::Write as _;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// Shows `text` on one line of at most `limit` characters, with everything that could steer a terminal written out as
/// `\u{..}`.
pub(super) fn escaped(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit * 4));
    for (index, character) in text.chars().enumerate() {
        if index == limit {
            shown.push('…');
            break;
        }
        match character {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            steering if steers(steering) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(steering));
            }
            plain => shown.push(plain),
        }
    }
    shown
}

/// Shows `text` with its lines and tabs, and with everything else that could steer a terminal written out as `\u{..}`. Joiners stay,
/// which many scripts and emoji are made with.
pub(super) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        let is_prose = matches!(character, '\n' | '\t' | '\u{200c}' | '\u{200d}');
        if steers(character) && !is_prose {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Control characters move the cursor or start escapes; the others reorder or hide what follows them.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A text of JSON in which nothing can steer a terminal; it still reads as the same value. (JSON escapes C0 controls by
/// itself, and leaves the rest alone.) Outside of strings only line breaks of a pretty print can stand.
pub(super) fn harmless_json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character != '\n' && steers(character) {
            let _ = write!(shown, "\\u{:04x}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    shown
}

/// One line of harmless JSON.
pub(super) fn json_line(value: &impl Serialize) -> io::Result<String> {
    Ok(harmless_json(&serde_json::to_string(value)?))
}

/// Milliseconds since 1970.
pub(super) fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time of day in UTC: `14:03:07.250Z`.
pub(super) fn time_of_day(at: SystemTime) -> String {
    let millis = millis(at) % 86_400_000;
    let (seconds, millis) = (millis / 1000, millis % 1000);
    format!(
        "{:02}:{:02}:{:02}.{millis:03}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// A span as people say it, in its largest units: `3.2 s`, `4 min`, `2 h 5 min`, `3 d 4 h`.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match seconds {
        0..60 => format!("{:.1} s", span.as_secs_f64()),
        60..3600 => format!("{minutes} min"),
        3600..86_400 => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        assert_eq!(
            escaped("a\u{1b}[31m\r\n\u{9b}b\u{202e}c\0é", 99),
            "a\\u{1b}[31m\\u{d}\\n\\u{9b}b\\u{202e}c\\u{0}é"
        );
        assert_eq!((escaped("éééé", 3), escaped("ééé", 3)), ("ééé…".into(), "ééé".into()));
    }

    #[test]
    fn prose_keeps_lines_tabs_and_joiners_and_nothing_that_steers() {
        assert_eq!(harmless("a\tb\n👩\u{200d}💻"), "a\tb\n👩\u{200d}💻");
        assert_eq!(
            harmless("\u{1b}[2J\r\u{202e}\u{200b}"),
            "\\u{1b}[2J\\u{d}\\u{202e}\\u{200b}"
        );
    }

    #[test]
    fn harmless_json_reads_as_the_same_value() {
        let value = serde_json::json!({"t": "\u{1b}\u{7f}\u{9b}\u{202e}\u{2028}\nä\u{feff}"});
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let shown = harmless_json(&pretty);
        assert!(!shown.replace('\n', "").chars().any(steers), "{shown:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn times_are_shown_as_people_say_them() {
        assert_eq!(
            time_of_day(UNIX_EPOCH + Duration::from_millis(86_400_000 + 50_587_250)),
            "14:03:07.250Z"
        );
        let shown = [3, 59, 60, 3599, 7500, 273_600].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(shown, ["3.0 s", "59.0 s", "1 min", "59 min", "2 h 5 min", "3 d 4 h"]);
    }
}
