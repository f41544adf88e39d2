//! Ids of records, points in time, and cursors of the journal.
//!
//! Ids are UUIDs of a type each, so that one kind can't stand where another is meant.

use std::fmt;
use std::num::ParseIntError;
use std::ops::Add;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};
use windlass_protocol::GatewayId;

/// A text that is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id of a {what} is a UUID, such as 67e55044-10b1-426f-9247-bb680e5fe0c8")]
pub struct InvalidId {
    /// The record that the id was to name.
    pub what: &'static str,
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id (version 4) of random bytes.
            pub fn from_bytes(random: [u8; 16]) -> Self {
                Self(Builder::from_random_bytes(random).into_uuid())
            }

            /// An id that is known already.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId { what: $what })
            }
        }
    };
}

id_type!(
    /// An organization.
    OrganizationId,
    "organization"
);
id_type!(
    /// A gateway's record. The name under which a line is registered is a `GatewayId`.
    GatewayUid,
    "gateway"
);
id_type!(
    /// A board.
    BoardId,
    "board"
);
id_type!(
    /// An agent's record. Its id on the gateway is derived from this id, from its board's or from its gateway's.
    AgentUid,
    "agent"
);
id_type!(
    /// A lifecycle run.
    RunId,
    "run"
);

id_type!(
    /// A token of a person or program.
    ApiTokenId,
    "token"
);
id_type!(
    /// An entry of a board's memory.
    MemoryId,
    "memory entry"
);

impl GatewayUid {
    /// The id under which the data of a line is stored. For a line that is named after its record it is the record's id; for any
    /// other it is made of the name (version 8, the beginning of its SHA-256), so that every process finds the same.
    pub fn of_line(line: &GatewayId) -> Self {
        let named = || {
            let digest = Sha256::digest(line.as_str());
            let mut head = [0; 16];
            head.copy_from_slice(&digest[..16]);
            Builder::from_custom_bytes(head).into_uuid()
        };
        Self(Uuid::try_parse(line.as_str()).unwrap_or_else(|_| named()))
    }
}

const DAY: i64 = 24 * 60 * 60 * 1000;

/// Milliseconds since the beginning of 1970, UTC; may be negative. All arithmetic saturates.
///
/// It shows, and is serialised, as `2026-11-22T10:11:12.345Z`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// A point in time by its milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to this; zero when `earlier` is the later one.
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This, `by` earlier.
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }
}

/// Whole milliseconds; a time that is too long for the type is as long as the type has it.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self(millis(since)),
            Err(before) => Self(-millis(before.duration())),
        }
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Counted in years that begin in March, so that the leap day is the last of its year, and in eras of 400 years, all of one length.
fn civil(days: i64) -> (i64, i64, i64) {
    const DAYS_OF_ERA: i64 = 146_097;
    // 0000-03-01 is 719,468 days before 1970-01-01.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(DAYS_OF_ERA), shifted.rem_euclid(DAYS_OF_ERA));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Five months from March have 153 days, whichever five.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0.div_euclid(DAY));
        let in_day = self.0.rem_euclid(DAY);
        let (seconds, millis) = (in_day / 1000, in_day % 1000);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z"
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The position of an entry in the journal.
///
/// Cursors are counted up by one and are not reused after pruning. A new journal begins to count at the microseconds of the time of
/// its first entry. So a journal that replaces a lost one continues above it, unless the clock went back, and a reader with a cursor
/// of the lost journal learns of the hole. A journal restored from a backup uses numbers again. Cursors are below 2^53, which
/// every reader of JSON can represent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(i64);

impl Cursor {
    /// A cursor by its number.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The one that is `count` further on.
    pub fn advanced(self, count: usize) -> Self {
        Self(self.0.saturating_add(i64::try_from(count).unwrap_or(i64::MAX)))
    }

    /// The one before it.
    pub fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The last used cursor of a journal that has no entry yet.
    pub fn before_first(at: Timestamp) -> Self {
        // 2^52: leaves as many numbers again; some year after 2100.
        const LATEST: i64 = 1 << 52;
        Self(at.as_millis().saturating_mul(1000).clamp(0, LATEST))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Cursor {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests;
