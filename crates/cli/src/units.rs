//! Durations, ages and sizes with their units: `30s`, `12h`, `2G`.

use std::time::Duration;

/// Longest span taken: a day.
const MAX: Duration = Duration::from_hours(24);

/// Reads `500ms`, `30s`, `2m` or `1h`: more than nothing, at most a day.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| EXPECTED.to_owned())?;
    let span = match &text[digits.len()..] {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => return Err(EXPECTED.to_owned()),
    };
    span.filter(|span| (Duration::from_millis(1)..=MAX).contains(span))
        .ok_or_else(|| "expected 1ms to 24h".to_owned())
}

const EXPECTED: &str = "expected a number with a unit: 500ms, 30s, 2m or 1h";

const AGES: &str = "expected a number with a unit: 12h, 30d";
const SIZES: &str = "expected a number with a unit: 512M, 2G";

/// Reads `12h` or `30d`: an hour at least, ten years at most.
pub(crate) fn parse_age(text: &str) -> Result<Duration, String> {
    let hours = |number: u64, factor: u64| number.checked_mul(factor).map(|hours| hours.saturating_mul(3600));
    let (number, unit) = split(text).ok_or(AGES)?;
    let seconds = match unit {
        "h" => hours(number, 1),
        "d" => hours(number, 24),
        _ => return Err(AGES.to_owned()),
    };
    let age = seconds.map(Duration::from_secs);
    age.filter(|age| (Duration::from_hours(1)..=Duration::from_hours(3650 * 24)).contains(age))
        .ok_or_else(|| "expected 1h to 3650d".to_owned())
}

/// Reads `512M` or `2G` as bytes: a megabyte at least.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text).ok_or(SIZES)?;
    let factor = match unit {
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return Err(SIZES.to_owned()),
    };
    let bytes = number.checked_mul(factor).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| "expected at least 1M".to_owned())
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    Some((digits.parse().ok()?, &text[digits.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_their_unit_and_bounded() {
        assert_eq!(parse_span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_span(" 2m "), Ok(Duration::from_mins(2)));
        assert_eq!(parse_span("24h"), Ok(MAX));
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "0s",
            "25h",
            "18446744073709551615h",
            "1d",
            "1 s",
            "é",
        ] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }
}

#[cfg(test)]
mod keep_tests {
    use super::*;

    #[test]
    fn ages_and_sizes_are_read_with_their_unit_and_bounded() {
        assert_eq!(parse_age("30d"), Ok(Duration::from_hours(30 * 24)));
        assert_eq!(parse_age(" 1h "), Ok(Duration::from_hours(1)));
        assert_eq!(parse_size("512M"), Ok(512 << 20));
        assert_eq!(parse_size("2G"), Ok(2 << 30));
        for text in [
            "",
            "30",
            "d",
            "0h",
            "3651d",
            "1.5d",
            "1w",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert!(parse_age(text).is_err(), "{text}");
        }
        for text in ["", "1", "0M", "1K", "1m", "18446744073709551615G"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
