//! Texts made fit for a terminal, and times made fit for people.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use windlass_protocol::steers;

/// Shows `text` on one line of at most `limit` characters, with everything that could steer a terminal written out as
/// `\u{..}`.
pub(crate) fn escaped(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit.saturating_mul(4)));
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

/// Shows `text` with its lines and tabs, and with everything else that could steer a terminal written out as `\u{..}`: joiners too,
/// which hide a word in another as well as they make one picture of several.
pub(crate) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        let is_prose = matches!(character, '\n' | '\t');
        if steers(character) && !is_prose {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    shown
}

/// The same for a line of our own that has styles in it: a last look at all that is printed, in case that a text of a gateway got
/// there as it came.
pub(crate) fn guarded(line: &str) -> Cow<'_, str> {
    let is_ours = |c: char| c.is_ascii() || !steers(c);
    if line.chars().all(is_ours) {
        return Cow::Borrowed(line);
    }
    let mut shown = String::with_capacity(line.len() + 8);
    for character in line.chars() {
        if is_ours(character) {
            shown.push(character);
        } else {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
        }
    }
    Cow::Owned(shown)
}

/// A number with the noun that it counts: `1 event`, `2 events`.
pub(crate) fn counted(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let stem = noun
        .strip_suffix('y')
        .filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']));
    match (number, stem) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {noun}s"),
    }
}

/// Milliseconds since 1970.
pub(crate) fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time of day in UTC: `14:03:07.250Z`.
pub(crate) fn time_of_day(at: SystemTime) -> String {
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
pub(crate) fn span(span: Duration) -> String {
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
    fn prose_keeps_lines_and_tabs_and_nothing_that_steers() {
        assert_eq!(harmless("a\tb\n👩\u{200d}💻"), "a\tb\n👩\\u{200d}💻");
        assert_eq!(
            harmless("\u{1b}[2J\r\u{202e}\u{200b}\u{61c}\u{e0041}"),
            "\\u{1b}[2J\\u{d}\\u{202e}\\u{200b}\\u{61c}\\u{e0041}"
        );
    }

    #[test]
    fn a_line_of_our_own_keeps_its_styles_and_lets_nothing_else_steer() {
        assert_eq!(guarded("\u{1b}[1mä\u{1b}[0m\n"), "\u{1b}[1mä\u{1b}[0m\n");
        assert_eq!(guarded("\u{1b}[1ma\u{9b}\u{61c}"), "\u{1b}[1ma\\u{9b}\\u{61c}");
    }

    #[test]
    fn what_is_counted_has_the_form_of_its_number() {
        let shown = [0_u64, 1, 2].map(|number| counted(number, "event"));
        assert_eq!(shown, ["0 events", "1 event", "2 events"]);
        assert_eq!(
            (counted(1_usize, "entry"), counted(3_usize, "entry")),
            ("1 entry".into(), "3 entries".into())
        );
        assert_eq!(counted(2_u64, "gateway"), "2 gateways");
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
