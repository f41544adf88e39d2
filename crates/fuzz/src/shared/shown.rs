//! Checks of texts that a person sees.

/// A secret that is planted where secrets are. Inputs that hold it by themselves are left alone.
pub(crate) const CANARY: &str = "c4nary-s3cret-0f-the-f1xtures";

/// Most characters of an error: the longest of ours hold a message of a gateway, bounded to 400, and a sentence or two.
const LONGEST: usize = 1200;

/// Panics where a text can't be shown as it is: it forges lines, drives a terminal, or fills a log.
pub(crate) fn assert_fit_to_show(shown: &str) {
    assert!(!shown.contains(char::is_control), "control characters: {shown:?}");
    let length = shown.chars().count();
    assert!(length <= LONGEST, "{length} characters: {}…", start(shown));
}

/// Panics where a text gives [`CANARY`] away.
pub(crate) fn assert_keeps_secret(shown: &str) {
    assert!(!shown.contains(CANARY), "a secret is shown: {}", start(shown));
}

fn start(text: &str) -> String {
    text.chars().take(300).collect()
}
