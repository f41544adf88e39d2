//! The connection core: everything that a line to a gateway decides, without a socket, a clock or a task.
//!
//! ```text
//!             Handshake ──hello-ok──▶ Session ──(loss)──▶ dropped: each generation starts from fresh state
//!
//!   CallTable waiting ──▶ in flight ──▶ ended     lives across generations: a call ends exactly once
//!   Backoff   attempt ──▶ delay                   lives across generations: reset by a healthy stretch only
//! ```
//!
//! Time is an argument ([`std::time::Instant`] as a value), randomness too. The driver of the core moves the bytes,
//! sets one timer to the earliest deadline, and carries out the returned actions.

mod calls;
mod handshake;
mod watchdog;

use std::time::Instant;

use crate::frame::{EventFrame, Payload};
use crate::{CallId, Frame, GatewayError, Generation, HelloOk};

pub use crate::retry::{Backoff, BackoffPolicy};
pub use calls::{AnswerEffect, AnswerMode, CallCounters, CallLimits, CallRequest, CallTable, ReplySlot, Resend};
pub use handshake::{BootIdentity, Continuity, Handshake, HandshakeFault, HandshakeStep};
pub use watchdog::{Vigil, Watchdog, WriteWatch};

/// The state of one connection. Dropped with it: the next generation starts from a fresh one.
#[derive(Debug)]
pub struct Session {
    wire: Wire,
    sequence: Sequence,
    announced_end: bool,
    /// Tells a dead connection from a quiet one.
    pub watchdog: Watchdog,
}

/// The limits of writing on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// Which connection of the line it is.
    pub generation: Generation,
    /// Largest frame that the gateway takes, in bytes: `policy.maxPayload`.
    pub max_payload: u64,
    /// Whether a request may say where it belongs in a trace.
    pub takes_traceparent: bool,
}

/// The meaning of a frame.
#[derive(Debug)]
pub enum Received<'a> {
    /// An answer to a request of ours.
    Answer {
        /// Which request.
        id: CallId,
        /// The answer of the gateway.
        outcome: Result<Payload<'a>, GatewayError>,
    },
    /// An event, and the hole in the sequence before it if there is one.
    Event {
        /// The event.
        event: EventFrame<'a>,
        /// Events that were lost before it.
        gap: Option<Gap>,
    },
    /// Nothing to act on; worth a line in the log.
    Ignored(IgnoredFrame),
}

/// Frames that are read over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IgnoredFrame {
    /// An answer to an id that we never sent; `"invalid"` means that a request of ours could not be read.
    #[error("an answer to an id that was never sent")]
    ForeignId(Option<GatewayError>),
    /// A kind of frame that this client has no use for.
    #[error("a frame of an unknown kind")]
    UnknownKind,
    /// An event with the number of the event before it.
    #[error("an event that came before")]
    Repeated,
    /// Not a frame.
    #[error(transparent)]
    Malformed(#[from] crate::FrameError),
}

impl IgnoredFrame {
    /// Whether it may have been an event, of which now nothing is known. Generation 3's numbers don't tell it later.
    pub const fn may_hide_an_event(&self) -> bool {
        match self {
            Self::Malformed(crate::FrameError::Incomplete { kind, .. }) => !matches!(kind.as_bytes(), b"res"),
            Self::Malformed(_) => true,
            Self::ForeignId(_) | Self::UnknownKind | Self::Repeated => false,
        }
    }
}

impl Session {
    /// Smallest `maxPayload` that is believed; 2026.1.30 states 512 KiB, all others 25 MiB.
    const MIN_MAX_PAYLOAD: u64 = 64 * 1024;

    /// Begins with the hello-ok that came at `now`.
    pub fn begin(generation: Generation, hello: &HelloOk, now: Instant) -> Self {
        Self {
            wire: Wire {
                generation,
                max_payload: hello.policy.max_payload.max(Self::MIN_MAX_PAYLOAD),
                takes_traceparent: hello.takes_traceparent(),
            },
            sequence: Sequence::new(hello),
            announced_end: false,
            watchdog: Watchdog::new(hello.policy.tick_interval(), now),
        }
    }

    /// Takes one frame.
    pub fn receive<'a>(&mut self, text: &'a str) -> Received<'a> {
        match Frame::decode(text) {
            Ok(Frame::Response(response)) => match CallId::parse(&response.id) {
                Some(id) => Received::Answer {
                    id,
                    outcome: response.outcome,
                },
                None => Received::Ignored(IgnoredFrame::ForeignId(response.outcome.err())),
            },
            Ok(Frame::Event(event)) => {
                self.announced_end |= event.name == "shutdown";
                match self.sequence.observe(event.seq) {
                    SequencePosition::Next => Received::Event { event, gap: None },
                    SequencePosition::Gap(gap) => Received::Event { event, gap: Some(gap) },
                    SequencePosition::Repeated => Received::Ignored(IgnoredFrame::Repeated),
                }
            }
            Ok(Frame::Other(_)) => Received::Ignored(IgnoredFrame::UnknownKind),
            Err(error) => Received::Ignored(IgnoredFrame::Malformed(error)),
        }
    }

    /// Whether the gateway said that it goes down.
    pub const fn announced_end(&self) -> bool {
        self.announced_end
    }

    /// Which connection of the line this is.
    pub const fn generation(&self) -> Generation {
        self.wire.generation
    }

    /// The limits of writing on it.
    pub const fn wire(&self) -> Wire {
        self.wire
    }
}

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
pub enum SequencePosition {
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
    pub fn observe(&mut self, seq: Option<u64>) -> SequencePosition {
        let Some(received) = seq else {
            return SequencePosition::Next;
        };
        let Some(last) = self.last.replace(received) else {
            return SequencePosition::Next;
        };
        if received == last {
            return SequencePosition::Repeated;
        }
        let expected = last.saturating_add(1);
        let hole = self.numbering == Numbering::PerConnection && received > expected;
        if hole || received < last {
            SequencePosition::Gap(Gap { expected, received })
        } else {
            SequencePosition::Next
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod sequence_tests {
    use super::*;

    fn gaps(numbering: Numbering, seqs: &[Option<u64>]) -> Vec<Gap> {
        let mut sequence = Sequence { numbering, last: None };
        let gap = |&seq| match sequence.observe(seq) {
            SequencePosition::Gap(gap) => Some(gap),
            SequencePosition::Next | SequencePosition::Repeated => None,
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
            let (next, again) = (SequencePosition::Next, SequencePosition::Repeated);
            assert_eq!(places, [next, again, next, again, next]);
        }
    }
}
