//! Durations as people write them.

use std::time::Duration;

/// Longest span taken: a day.
const MAX: Duration = Duration::from_secs(24 * 60 * 60);

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
        .ok_or_else(|| "1ms to 24h is taken".to_owned())
}

const EXPECTED: &str = "a number with its unit is wanted: 500ms, 30s, 2m or 1h";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_their_unit_and_bounded() {
        assert_eq!(parse_span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_span(" 2m "), Ok(Duration::from_secs(120)));
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
