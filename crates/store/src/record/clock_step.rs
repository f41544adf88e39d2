//! Steps of the clock that stamps entries, so that retention counts an entry's true age.

use serde::Serialize;

use super::cursor::Cursor;
use crate::time::Timestamp;

/// Most steps that a journal keeps. A clock that steps more often within the retention is broken; then the oldest step is
/// forgotten, and entries before it are as old as their stamps say.
pub const CLOCK_STEPS_KEPT: usize = 64;

/// The clock stepped: entries up to a cursor carry stamps of the clock as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ClockStep {
    /// The last entry that was stamped before the step.
    pub upto: Cursor,
    /// Milliseconds that the clock moved; negative when it was set back.
    pub by_ms: i64,
}

/// The stamp of an entry as the clock of today would have set it, by all [`clock_steps`](crate::Journal::clock_steps).
pub fn corrected(at: Timestamp, cursor: Cursor, steps: &[ClockStep]) -> Timestamp {
    let later = steps.iter().filter(|step| cursor <= step.upto);
    let millis = later.fold(at.as_millis(), |millis, step| millis.saturating_add(step.by_ms));
    Timestamp::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_moves_with_each_step_after_its_entry() {
        let steps = [
            ClockStep {
                upto: Cursor::new(10),
                by_ms: 1_000,
            },
            ClockStep {
                upto: Cursor::new(20),
                by_ms: -300,
            },
        ];
        let at = |cursor| corrected(Timestamp::from_millis(5), Cursor::new(cursor), &steps).as_millis();
        assert_eq!([10, 11, 20, 21].map(at), [705, -295, -295, 5]);
        let far = ClockStep {
            upto: Cursor::new(1),
            by_ms: i64::MAX,
        };
        assert_eq!(
            corrected(Timestamp::from_millis(7), Cursor::new(1), &[far]).as_millis(),
            i64::MAX
        );
    }
}
