//! Checks that a stream of events is in order, and that each hole has a marker of its size.

use thiserror::Error;

/// Checks one subscriber's stream of one gateway, item by item.
///
/// The test gives each of its events a number, 1 higher than the event before. A missing number is a hole. A hole needs
/// markers before it: a gap or a lag explains at most as many events as it names, and only the end of a line explains any number.
///
/// ```
/// use windlass_testkit::{StreamAudit, StreamFault};
///
/// # fn main() -> Result<(), StreamFault> {
/// let mut audit = StreamAudit::default();
/// audit.up();
/// audit.event(0)?;
/// audit.lagged(2)?;
/// audit.event(3)?;
/// assert_eq!(audit.event(5), Err(StreamFault::Unexplained { n: 5, missing: 1, explained: 0 }));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct StreamAudit {
    open: bool,
    last: Option<u64>,
    hole: Hole,
    next_seq: Option<u64>,
    events: u64,
}

/// The number of events that the markers since the last event explain.
#[derive(Clone, Copy, Debug, Default)]
enum Hole {
    /// Before the first marker nothing is explained.
    #[default]
    None,
    AtMost(u64),
    /// The line was down, or the stream begins: any number can be missing.
    AnySize,
}

/// A stream that breaks its promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StreamFault {
    /// An event came while the stream says that the line is down.
    #[error("event {n} came while the line is down")]
    WhileDown {
        /// The event's number.
        n: u64,
    },
    /// An event came again, or after a later one.
    #[error("event {n} came after {last}")]
    Order {
        /// The event's number.
        n: u64,
        /// The number of the event before it.
        last: u64,
    },
    /// The markers explain fewer events than are missing.
    #[error("{missing} events are missing before {n}, and the markers explain {explained}")]
    Unexplained {
        /// The number of the event behind the hole.
        n: u64,
        /// Missing events.
        missing: u64,
        /// Events that the markers since the last event explain.
        explained: u64,
    },
    /// A gap marker names other numbers than those around the hole.
    #[error("a gap from {expected} to {received}, where {next:?} is next")]
    Gap {
        /// The marker's first missing number.
        expected: u64,
        /// The marker's number of the event behind the gap.
        received: u64,
        /// The gateway's next number, where the stream has shown one.
        next: Option<u64>,
    },
    /// The gateway's number of an event is not the next one, and no gap marker says so.
    #[error("the gateway's number {seq} came, and {next} is next")]
    Sequence {
        /// The gateway's number.
        seq: u64,
        /// The next number.
        next: u64,
    },
    /// A lag marker that names no event.
    #[error("a lag of no event")]
    EmptyLag,
}

impl StreamAudit {
    /// The line is up from here on: events can come. Any number of them can be missing before.
    pub fn up(&mut self) {
        self.line(true);
    }

    /// The line is down from here on: no event can come.
    pub fn down(&mut self) {
        self.line(false);
    }

    fn line(&mut self, open: bool) {
        (self.open, self.hole, self.next_seq) = (open, Hole::AnySize, None);
    }

    /// The gateway's own number of an event (`seq`), of any name. Only for gateways that count each connection's events
    /// (2026.5.12 and later); it stands before [`event`](Self::event).
    ///
    /// # Errors
    /// When the number is not the next one.
    pub fn numbered(&mut self, seq: u64) -> Result<(), StreamFault> {
        match self.next_seq.replace(seq + 1) {
            Some(next) if next != seq => Err(StreamFault::Sequence { seq, next }),
            _ => Ok(()),
        }
    }

    /// The test's event with this number.
    ///
    /// # Errors
    /// When the line is down, when the number does not grow, and when the markers do not explain the hole before it.
    pub fn event(&mut self, n: u64) -> Result<(), StreamFault> {
        if !self.open {
            return Err(StreamFault::WhileDown { n });
        }
        let hole = std::mem::take(&mut self.hole);
        // Nothing is known of the numbers before the first event.
        let missing = match self.last {
            Some(last) if n <= last => return Err(StreamFault::Order { n, last }),
            Some(last) => n - last - 1,
            None => 0,
        };
        let explained = match hole {
            Hole::None => 0,
            Hole::AtMost(explained) => explained,
            Hole::AnySize => u64::MAX,
        };
        if missing > explained {
            return Err(StreamFault::Unexplained { n, missing, explained });
        }
        self.last = Some(n);
        self.events += 1;
        Ok(())
    }

    /// A gap marker: the gateway's numbers from `expected` on are missing, and the event `received` follows.
    ///
    /// # Errors
    /// When the numbers are not those around the hole.
    pub fn gap(&mut self, expected: u64, received: u64) -> Result<(), StreamFault> {
        let next = self.next_seq.replace(received);
        if received <= expected || next.is_some_and(|next| next != expected) {
            return Err(StreamFault::Gap {
                expected,
                received,
                next,
            });
        }
        self.explain(received - expected);
        Ok(())
    }

    /// A lag marker: the subscriber was too slow, and this many events and markers were dropped.
    ///
    /// # Errors
    /// When the marker names no event.
    pub fn lagged(&mut self, dropped: u64) -> Result<(), StreamFault> {
        // Dropped gap markers are unknown, so the gateway's next number is, too.
        self.next_seq = None;
        self.explain(dropped);
        if dropped == 0 {
            Err(StreamFault::EmptyLag)
        } else {
            Ok(())
        }
    }

    /// A frame that could not be read, and may have been an event.
    pub fn unreadable(&mut self) {
        self.explain(1);
    }

    fn explain(&mut self, events: u64) {
        self.hole = match self.hole {
            Hole::None => Hole::AtMost(events),
            Hole::AtMost(explained) => Hole::AtMost(explained.saturating_add(events)),
            Hole::AnySize => Hole::AnySize,
        };
    }

    /// The number of the last event.
    pub const fn last(&self) -> Option<u64> {
        self.last
    }

    /// Events so far.
    pub const fn events(&self) -> u64 {
        self.events
    }
}

#[cfg(test)]
mod tests {
    use super::{StreamAudit, StreamFault};

    /// A stream in which event 4 came as the gateway's number 9.
    fn begun() -> StreamAudit {
        let mut audit = StreamAudit::default();
        audit.up();
        assert_eq!((audit.numbered(9), audit.event(4)), (Ok(()), Ok(())));
        audit
    }

    #[test]
    fn a_whole_stream_is_accepted() {
        let mut audit = begun();
        // Events of other names take numbers of the gateway, too.
        for seq in 10..13 {
            assert_eq!(audit.numbered(seq), Ok(()));
        }
        assert_eq!((audit.event(5), audit.last(), audit.events()), (Ok(()), Some(5), 2));
    }

    #[test]
    fn an_event_needs_a_line_that_is_up_and_a_number_that_grows() {
        assert_eq!(StreamAudit::default().event(1), Err(StreamFault::WhileDown { n: 1 }));
        for n in [3, 4] {
            assert_eq!(begun().event(n), Err(StreamFault::Order { n, last: 4 }));
        }
        let mut audit = begun();
        audit.down();
        assert_eq!(audit.event(5), Err(StreamFault::WhileDown { n: 5 }));
    }

    #[test]
    fn a_hole_is_explained_by_markers_of_its_size() {
        let unexplained = |explained| {
            Err(StreamFault::Unexplained {
                n: 8,
                missing: 3,
                explained,
            })
        };
        assert_eq!(begun().event(8), unexplained(0));
        let mut audit = begun();
        assert_eq!((audit.gap(10, 12), audit.event(8)), (Ok(()), unexplained(2)));
        let mut audit = begun();
        assert_eq!((audit.gap(10, 13), audit.numbered(13)), (Ok(()), Ok(())));
        assert_eq!(audit.event(8), Ok(()));
        let mut audit = begun();
        audit.unreadable();
        assert_eq!((audit.lagged(2), audit.event(8)), (Ok(()), Ok(())));
        // A marker explains one hole.
        assert!(audit.event(10).is_err());
    }

    #[test]
    fn the_end_of_a_line_explains_a_hole_of_any_size() {
        let mut audit = begun();
        audit.down();
        audit.up();
        assert_eq!((audit.numbered(1), audit.event(1_000)), (Ok(()), Ok(())));
    }

    #[test]
    fn a_gap_names_the_numbers_around_it() {
        for (expected, received) in [(11, 13), (9, 13), (10, 10), (10, 9)] {
            let gap = begun().gap(expected, received);
            assert!(matches!(gap, Err(StreamFault::Gap { next: Some(10), .. })), "{gap:?}");
        }
        let mut audit = begun();
        assert_eq!(audit.gap(10, 13), Ok(()));
        assert_eq!(audit.numbered(14), Err(StreamFault::Sequence { seq: 14, next: 13 }));
        assert_eq!(begun().numbered(11), Err(StreamFault::Sequence { seq: 11, next: 10 }));
    }

    #[test]
    fn after_a_lag_the_gateways_numbers_begin_anew() {
        let mut audit = begun();
        assert_eq!((audit.lagged(3), audit.numbered(20)), (Ok(()), Ok(())));
        assert_eq!(begun().lagged(0), Err(StreamFault::EmptyLag));
    }
}
