//! Places in the journal.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A place in the journal: an entry, and what comes after it.
///
/// Cursors are counted up by one and never used again, whatever is pruned. A new journal begins to count at the microseconds of
/// its first entry's time, so that one that is made where another was lost, unless the clock went back, goes on above it: who
/// comes with a cursor of the lost one is told of the hole. (A journal restored from a backup uses numbers again.) Below 2^53, so
/// that JSON readers of all kinds read it right.
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

    /// What counts as the last one used by a journal that has none yet.
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
mod tests {
    use super::*;

    #[test]
    fn a_later_journal_begins_above_an_earlier_one_and_below_what_json_holds() {
        let at = |millis| Cursor::before_first(Timestamp::from_millis(millis)).number();
        assert_eq!((at(i64::MIN), at(-1), at(0), at(7)), (0, 0, 0, 7_000));
        // A hundred years from now there is still as much room above as below.
        assert_eq!(at(4_951_015_872_000), 1 << 52);
        assert_eq!(at(i64::MAX), 1 << 52);
    }

    #[test]
    fn a_cursor_is_shown_read_and_serialised_as_its_number() {
        let cursor = Cursor::new(1_795_342_272_345_001);
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!(serde_json::to_string(&cursor).unwrap(), "1795342272345001");
        assert!("latest".parse::<Cursor>().is_err());
    }
}
