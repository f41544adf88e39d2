//! Finds holes in a gateway's event sequence, where holes mean something.

use crate::HelloOk;

/// Events that never came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The number that should have come.
    pub expected: u64,
    /// The number that came instead.
    pub received: u64,
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
    /// First protocol whose gateways number per connection.
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
    /// Only a number beyond the next, after a known one, is a gap: that is the rule of the reference clients.
    pub fn observe(&mut self, seq: Option<u64>) -> Option<Gap> {
        let received = seq?;
        let expected = self.last.replace(received)?.saturating_add(1);
        let hole = self.numbering == Numbering::PerConnection && received > expected;
        hole.then_some(Gap { expected, received })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(numbering: Numbering, seqs: &[Option<u64>]) -> Vec<Gap> {
        let mut sequence = Sequence { numbering, last: None };
        seqs.iter().filter_map(|&seq| sequence.observe(seq)).collect()
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
        assert_eq!(gaps(Numbering::Global, &[Some(149), Some(160), Some(1), Some(900)]), []);
    }

    #[test]
    fn a_number_that_goes_back_is_no_gap() {
        assert_eq!(gaps(Numbering::PerConnection, &[Some(9), Some(3), Some(4)]), []);
    }
}
