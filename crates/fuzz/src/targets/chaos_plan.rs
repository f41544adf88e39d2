//! A plan of faults for `windlass chaos`.

use crate::shared::text;

/// It is read or refused, the same each time, and an error names the file and a line.
pub(super) fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    super::assert_toml(text, windlass_cli::fuzzing::chaos_plan);
    let span = windlass_cli::fuzzing::span(text);
    if let Ok(span) = span {
        assert!(!span.is_zero() && span.as_secs() <= 24 * 60 * 60);
    }
}
