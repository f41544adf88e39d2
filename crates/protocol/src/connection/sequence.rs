//! Finds holes in a gateway's event sequence, where holes mean something, and events that are out of their order.

use crate::HelloOk;

/// Events that never came, or that come too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The number that should have come.
    pub expected: u64,
    /// The number that came instead; a lower one is that of an event which is out of its order.
    pub received: u64,
}

/// The meaning of an event's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// As far as can be told, nothing is missing before it.
    Next,
    /// Not the expected number.
    Gap(Gap),
    /// It came before: the number is that of the last event.
    Repeated,
}

/// How a gateway numbers its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbering {
    /// 1, 2, 3, … for each connection: a hole is a lost event (2026.5.12 and later: protocol 4).
    PerConnection,
    /// One counter for the gateway process, counted before events are withheld for lack of scope: a hole says
    /// nothing (2026.1.30 to 2026.4.15: protocol 3).
    Global,
}

/// The sequence of one connection's events.
#[derive(Debug, Clone)]
pub struct Sequence {
    numbering: Numbering,
    last: Option<u64>,
}

impl Sequence {
    /// The first protocol with numbers per connection.
    const PER_CONNECTION_SINCE: u32 = 4;

    /// The sequence of a connection that begins with this hello-ok.
    pub const fn new(hello: &HelloOk) -> Self {
        let numbering = if hello.protocol >= Self::PER_CONNECTION_SINCE {
            Numbering::PerConnection
        } else {
            Numbering::Global
        };
        Self { numbering, last: None }
    }

    /// Notes one event's number; events without a number are not counted.
    ///
    /// A number beyond the next, after a known one, is a gap where holes mean something: that is the rule of the reference
    /// clients. A number that does not grow never comes from a gateway (all recordings of 2026.3.13 and 2026.9.6 grow over
    /// each connection): something in between repeats or reorders frames.
    pub fn observe(&mut self, seq: Option<u64>) -> Place {
        let Some(received) = seq else { return Place::Next };
        let Some(last) = self.last.replace(received) else {
            return Place::Next;
        };
        if received == last {
            return Place::Repeated;
        }
        let expected = last.saturating_add(1);
        let hole = self.numbering == Numbering::PerConnection && received > expected;
        if hole || received < last {
            Place::Gap(Gap { expected, received })
        } else {
            Place::Next
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(numbering: Numbering, seqs: &[Option<u64>]) -> Vec<Gap> {
        let mut sequence = Sequence { numbering, last: None };
        let gap = |&seq| match sequence.observe(seq) {
            Place::Gap(gap) => Some(gap),
            Place::Next | Place::Repeated => None,
        };
        seqs.iter().filter_map(gap).collect()
    }

    #[test]
    fn a_hole_in_a_per_connection_sequence_is_a_gap() {
        let seqs = [Some(1), Some(2), None, Some(3), Some(6), Some(7)];
        assert_eq!(
            gaps(Numbering::PerConnection, &seqs),
            [Gap {
                expected: 4,
                received: 6
            }]
        );
    }

    #[test]
    fn the_first_number_may_be_anything() {
        assert_eq!(gaps(Numbering::PerConnection, &[Some(149), Some(150)]), []);
    }

    #[test]
    fn holes_in_a_global_sequence_are_no_alarm() {
        assert_eq!(gaps(Numbering::Global, &[Some(149), Some(160), Some(900)]), []);
    }

    #[test]
    fn a_number_that_goes_back_is_told_on_either_generation() {
        let back = Gap {
            expected: 10,
            received: 3,
        };
        for numbering in [Numbering::PerConnection, Numbering::Global] {
            assert_eq!(gaps(numbering, &[Some(9), Some(3), Some(4)]), [back]);
        }
    }

    #[test]
    fn a_number_that_came_last_is_a_repeated_event() {
        for numbering in [Numbering::PerConnection, Numbering::Global] {
            let mut sequence = Sequence { numbering, last: None };
            let places = [Some(7), Some(7), None, Some(7), Some(8)].map(|seq| sequence.observe(seq));
            let (next, again) = (Place::Next, Place::Repeated);
            assert_eq!(places, [next, again, next, again, next]);
        }
    }
}
