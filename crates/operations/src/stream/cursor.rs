//! The position of a stream, as text that clients keep and send back unread.

use std::fmt;
use std::str::FromStr;

use windlass_store::Cursor;

use crate::error::OperationError;

/// A position in the journal and in the activities. Later positions are later texts, too: both parts have a fixed width, and neither
/// goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamCursor {
    /// The last entry of the journal; `None` before the first one.
    pub journal: Option<Cursor>,
    /// The last activity.
    pub activity: i64,
}

/// Digits of a part.
const WIDTH: usize = 16;

impl StreamCursor {
    /// Before everything.
    pub const START: Self = Self {
        journal: None,
        activity: 0,
    };
}

impl fmt::Display for StreamCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let journal = self.journal.map_or(0, Cursor::number);
        write!(f, "{journal:0WIDTH$x}{:0WIDTH$x}", self.activity)
    }
}

impl FromStr for StreamCursor {
    type Err = OperationError;

    fn from_str(text: &str) -> Result<Self, OperationError> {
        let part = |at: usize| {
            let digits = text.get(at..at + WIDTH)?;
            let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_hex.then(|| i64::from_str_radix(digits, 16).ok()).flatten()
        };
        let parts = (part(0), part(WIDTH));
        match parts {
            (Some(journal), Some(activity)) if text.len() == 2 * WIDTH => Ok(Self {
                journal: (journal > 0).then(|| Cursor::new(journal)),
                activity,
            }),
            _ => Err(OperationError::invalid("after", "is not a cursor of this stream")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_a_later_one_is_a_later_text() {
        let at = |journal, activity| StreamCursor {
            journal: Some(Cursor::new(journal)),
            activity,
        };
        let in_order = [
            StreamCursor::START,
            at(9, 300),
            at(10, 300),
            at(10, 301),
            at(1 << 52, 301),
        ];
        let texts: Vec<String> = in_order.iter().map(ToString::to_string).collect();
        assert!(texts.is_sorted_by(|one, other| one < other), "{texts:?}");
        for (cursor, text) in in_order.iter().zip(&texts) {
            assert_eq!(text.parse(), Ok(*cursor));
        }
    }

    #[test]
    fn a_text_that_is_no_cursor_is_refused_by_its_member() {
        for text in ["", "now", "12", "-000000000000001000000000000000g", &"ä".repeat(16)] {
            let error = text.parse::<StreamCursor>().unwrap_err();
            assert_eq!(error.field.as_deref(), Some("after"), "{text:?}");
        }
    }
}
