//! `windlass.toml`.

use crate::shared::{CANARY, assert_fit_to_show, assert_keeps_secret, text};

/// The file is read or refused. An error names the file and a line, can be shown, and does not repeat a value of the file,
/// because a value may be a token in the wrong place.
pub(super) fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    super::assert_toml(text, windlass_cli::fuzzing::config_file);
    // Where a line of the file has a value in quotes, a token in its place.
    for (at, _) in text.match_indices('"').take(8) {
        let Some(end) = text[at + 1..].find('"') else { break };
        let planted = format!("{}{CANARY}{}", &text[..=at], &text[at + 1 + end..]);
        if let Err(error) = windlass_cli::fuzzing::config_file(&planted)
            && !is_name(&planted)
        {
            assert_fit_to_show(&error);
            assert_keeps_secret(&error);
        }
    }
}

/// Whether the token stands where a name stands: names are repeated, for they have to be found.
fn is_name(text: &str) -> bool {
    text.lines().filter(|line| line.contains(CANARY)).any(|line| {
        let (token, sign) = (line.find(CANARY), line.find('='));
        line.trim_start().starts_with('[') || sign.is_some_and(|sign| token < Some(sign))
    })
}
