//! Which release a gateway is, and whether it is new enough.
//!
//! Releases are named by day, `2026.3.13`, and a second one of the same day gets `-1`. Decide by facts that a gateway shows
//! wherever it shows them; this is for the one question without such a fact: is it too old to be supported at all.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::advice::{Advice, Advise};
use crate::text::{NAME_LIMIT, printable};

/// The oldest release that is supported: the oldest one that was measured.
pub const MINIMUM_RELEASE: Release = Release::new(2026, 1, 30);

/// A release of the gateway: `YYYY.M.D` or `YYYY.M.D-REV`. Ordered by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    year: u16,
    month: u8,
    day: u8,
    revision: u32,
}

/// A text that names no release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a release: releases are named by day, such as 2026.3.13 or 2026.3.13-1")]
pub struct InvalidRelease;

impl Release {
    /// The first release of a day.
    pub const fn new(year: u16, month: u8, day: u8) -> Self {
        Self {
            year,
            month,
            day,
            revision: 0,
        }
    }

    /// A later release of the same day.
    pub const fn with_revision(self, revision: u32) -> Self {
        Self { revision, ..self }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            year,
            month,
            day,
            revision,
        } = self;
        write!(f, "{year}.{month}.{day}")?;
        if *revision > 0 {
            write!(f, "-{revision}")?;
        }
        Ok(())
    }
}

impl FromStr for Release {
    type Err = InvalidRelease;

    /// A leading `v` is tolerated; everything else has to be exact.
    fn from_str(text: &str) -> Result<Self, InvalidRelease> {
        let text = text.trim();
        let text = text.strip_prefix('v').unwrap_or(text);
        let (date, revision) = match text.split_once('-') {
            Some((date, revision)) => (date, number(revision)?),
            None => (text, 0),
        };
        let mut parts = date.split('.');
        let mut part = || parts.next().ok_or(InvalidRelease).and_then(number);
        let (year, month, day) = (part()?, part()?, part()?);
        if parts.next().is_some() || !(2000..=9999).contains(&year) {
            return Err(InvalidRelease);
        }
        let (Ok(year), Ok(month), Ok(day)) = (u16::try_from(year), u8::try_from(month), u8::try_from(day)) else {
            return Err(InvalidRelease);
        };
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(InvalidRelease);
        }
        Ok(Self::new(year, month, day).with_revision(revision))
    }
}

/// Digits only: `parse` alone would take a sign.
fn number(text: &str) -> Result<u32, InvalidRelease> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(InvalidRelease);
    }
    text.parse().map_err(|_| InvalidRelease)
}

/// Whether a gateway's release is supported.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is.
    Supported {
        /// Its release.
        version: Release,
    },
    /// It is older than anything that was tried.
    TooOld {
        /// Its release.
        version: Release,
        /// The oldest supported release.
        minimum: Release,
    },
    /// It does not name its release.
    Unknown {
        /// The reason.
        why: UnknownRelease,
    },
}

/// Why a gateway's release is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownRelease {
    /// It calls itself by a name that is no release (2026.1 and 2026.2 say `dev`), and its configuration does not tell
    /// either.
    NotARelease {
        /// Its own name for its release, as it came: print it with care.
        named: String,
    },
    /// It says nothing at all.
    Silent,
}

impl Verdict {
    /// Judges by `hello-ok.server.version`, and where that is no release, by `config.meta.lastTouchedVersion`.
    pub fn of(server_version: Option<&str>, last_touched: Option<&str>) -> Self {
        let known = [server_version, last_touched]
            .into_iter()
            .flatten()
            .find_map(|text| text.parse::<Release>().ok());
        match known {
            Some(version) if version >= MINIMUM_RELEASE => Self::Supported { version },
            Some(version) => Self::TooOld {
                version,
                minimum: MINIMUM_RELEASE,
            },
            None => Self::Unknown {
                why: server_version
                    .filter(|text| !text.is_empty())
                    .map_or(UnknownRelease::Silent, |named| UnknownRelease::NotARelease {
                        named: named.chars().take(NAME_LIMIT).collect(),
                    }),
            },
        }
    }

    /// Whether the hello alone settles it; otherwise the configuration has to be read.
    pub fn needs_config(server_version: Option<&str>) -> bool {
        server_version.is_none_or(|text| text.parse::<Release>().is_err())
    }

    /// Whether it is known to be new enough.
    pub const fn is_supported(&self) -> bool {
        matches!(self, Self::Supported { .. })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Supported { version } => write!(f, "supported ({version})"),
            Self::TooOld { version, minimum } => write!(f, "too old ({version}, at least {minimum} is needed)"),
            Self::Unknown {
                why: UnknownRelease::NotARelease { named },
            } => write!(f, "unknown release ({})", printable(named, NAME_LIMIT)),
            Self::Unknown {
                why: UnknownRelease::Silent,
            } => f.write_str("unknown release"),
        }
    }
}

impl Advise for Verdict {
    fn advice(&self) -> Advice {
        match self {
            Self::Supported { version } => Advice::new(
                format!("The gateway is release {version}, which is supported."),
                "Nothing to do.",
            ),
            Self::TooOld { version, minimum } => Advice::new(
                format!("The gateway is release {version}; at least {minimum} is needed."),
                format!("Update the gateway to {minimum} or later."),
            ),
            Self::Unknown { why } => Advice::new(
                match why {
                    UnknownRelease::NotARelease { named } => Cow::Owned(format!(
                        "The gateway calls its release {}, which does not tell how old it is.",
                        printable(named, NAME_LIMIT)
                    )),
                    UnknownRelease::Silent => Cow::Borrowed("The gateway does not tell which release it is."),
                },
                format!("Run on the gateway's host: openclaw --version. It has to be {MINIMUM_RELEASE} or later."),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_ordered_by_age_and_written_as_they_were_read() {
        let sorted = [
            "2025.12.31",
            "2026.1.30",
            "2026.3.13",
            "2026.3.13-1",
            "2026.3.13-12",
            "2026.10.2",
        ];
        let read: Vec<Release> = sorted.iter().map(|text| text.parse().unwrap()).collect();
        assert!(read.is_sorted_by(|a, b| a < b), "{read:?}");
        assert_eq!(read.iter().map(Release::to_string).collect::<Vec<_>>(), sorted);
        assert_eq!("v2026.1.30".parse(), Ok(MINIMUM_RELEASE));
    }

    #[test]
    fn what_is_no_day_is_no_release() {
        for text in [
            "",
            "dev",
            "2026",
            "2026.3",
            "2026.3.13.1",
            "2026.13.1",
            "2026.0.1",
            "2026.1.32",
            "2026.1.0",
            "26.1.30",
            "2026.1.30-",
            "2026.1.30-beta",
            "+2026.1.30",
            "2026.+1.30",
            "2026.1.30-99999999999",
            "70000.1.1",
            "v",
            "vv2026.1.30",
        ] {
            assert_eq!(text.parse::<Release>(), Err(InvalidRelease), "{text}");
        }
    }

    #[test]
    fn the_hello_counts_first_and_the_configuration_second() {
        let supported = |text: &str| Verdict::Supported {
            version: text.parse().unwrap(),
        };
        assert_eq!(Verdict::of(Some("2026.9.6"), Some("2025.1.1")), supported("2026.9.6"));
        assert_eq!(Verdict::of(Some("dev"), Some("2026.1.30")), supported("2026.1.30"));
        assert_eq!(Verdict::of(None, Some("2026.2.26")), supported("2026.2.26"));
        assert!(matches!(
            Verdict::of(Some("dev"), Some("2026.1.29")),
            Verdict::TooOld { .. }
        ));
        assert!(matches!(
            Verdict::of(Some("dev"), None),
            Verdict::Unknown { why: UnknownRelease::NotARelease { named } } if named == "dev"
        ));
        assert_eq!(
            Verdict::of(Some(""), Some("never")),
            Verdict::Unknown {
                why: UnknownRelease::Silent
            }
        );
        assert!(Verdict::needs_config(Some("dev")) && !Verdict::needs_config(Some("2026.9.6")));
    }

    #[test]
    fn every_verdict_says_what_to_do() {
        let told = |server: &str| Verdict::of(Some(server), None).advice().to_string();
        assert!(
            told("2025.11.1").contains("Update the gateway to 2026.1.30"),
            "{}",
            told("2025.11.1")
        );
        let odd = told("de\u{1b}v");
        assert!(odd.contains("openclaw --version") && !odd.contains('\u{1b}'), "{odd}");
        assert!(Verdict::of(Some("2026.9.6"), None).is_supported());
    }
}
