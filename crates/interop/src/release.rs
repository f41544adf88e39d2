//! Which OpenClaw release is meant.
//!
//! The releases of [`windlass_testkit::RELEASES`] are pinned: their wire behaviour was measured. Any
//! other version that npm knows can be named in full.

use std::{cmp::Ordering, fmt, str::FromStr};

use thiserror::Error;
use windlass_testkit::RELEASES;

/// The longest version name that is accepted; npm's own limit is far above what releases use.
const MAX_NAME: usize = 64;

/// An exact npm version of the package `openclaw`, safe as a folder name and as an argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Release(String);

/// A text that is no release name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no release: expected an exact npm version like 2026.9.6, or 9.6 for short")]
pub struct ParseReleaseError(String);

impl Release {
    /// All pinned releases, oldest first.
    pub fn pinned() -> Vec<Self> {
        RELEASES.iter().map(|&name| Self(name.to_owned())).collect()
    }

    /// The newest pinned release.
    pub fn newest() -> Self {
        Self(RELEASES[RELEASES.len() - 1].to_owned())
    }

    /// The exact npm version.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// True for a release whose wire behaviour was measured.
    pub fn is_pinned(&self) -> bool {
        RELEASES.contains(&self.name())
    }

    /// True when this release is `name` or newer, compared number by number.
    ///
    /// For expectations about a release that is under test only: product code decides by what a
    /// gateway says, never by its version.
    pub fn at_least(&self, name: &str) -> bool {
        compare(self.name(), name) != Ordering::Less
    }
}

impl FromStr for Release {
    type Err = ParseReleaseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParseReleaseError(text.chars().take(MAX_NAME).collect());
        let full = match text.split('.').count() {
            2 => format!("2026.{text}"),
            _ => text.to_owned(),
        };
        if full.len() > MAX_NAME || !is_version(&full) {
            return Err(refused());
        }
        Ok(Self(full))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Three dotted numbers, then optionally `-` and a pre-release of letters, digits, `.` and `-`.
fn is_version(text: &str) -> bool {
    let (core, pre) = match text.split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (text, None),
    };
    let mut numbers = core.split('.');
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let core_fits = numbers.clone().count() == 3 && numbers.all(all_digits);
    let in_pre = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let pre_fits = pre.is_none_or(|pre| pre.split('.').all(|part| !part.is_empty() && part.bytes().all(in_pre)));
    core_fits && pre_fits
}

fn compare(left: &str, right: &str) -> Ordering {
    numbers(left).cmp(&numbers(right))
}

fn numbers(name: &str) -> Vec<u64> {
    name.split(['.', '-']).map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_means_a_release_of_2026() {
        assert_eq!("9.6".parse(), Ok(Release("2026.9.6".to_owned())));
        assert_eq!("2026.9.6".parse(), Ok(Release("2026.9.6".to_owned())));
    }

    #[test]
    fn every_pinned_name_parses_to_itself() {
        for release in Release::pinned() {
            assert_eq!(release.name().parse::<Release>().as_ref(), Ok(&release));
            assert!(release.is_pinned());
        }
    }

    #[test]
    fn a_name_that_could_leave_its_folder_or_become_an_option_is_refused() {
        for text in [
            "",
            "..",
            "9",
            "../../x",
            "-v.1",
            "2026.9.6/..",
            "2026.9",
            "latest",
            "2026.9.6-",
            "2026.9.6-a..b",
            "2026.9.6 --x",
            "git+x",
            "1.2.3.4",
        ] {
            let parsed = text.parse::<Release>();
            // `2026.9` is short for 2026.2026.9: a strange version, yet a harmless name.
            assert_eq!(parsed.is_ok(), text == "2026.9", "{text}: {parsed:?}");
        }
        let long = format!("2026.9.6-{}", "a".repeat(MAX_NAME));
        assert!(long.parse::<Release>().is_err());
    }

    #[test]
    fn releases_are_compared_by_number_not_by_letter() {
        let release: Release = "2026.10.1".parse().expect("a version");
        assert!(release.at_least("2026.9.6"));
        assert!(release.at_least("2026.10.1"));
        assert!(!release.at_least("2026.10.2"));
    }

    #[test]
    fn a_follow_up_release_is_newer_than_its_base() {
        let release: Release = "2026.7.1-2".parse().expect("a version");
        assert!(release.at_least("2026.7.1"));
        assert!(!release.is_pinned());
    }
}
