//! One connection after hello-ok: the meaning of each frame that comes in.

use std::time::Instant;

use super::sequence::{Gap, Place, Sequence};
use super::watchdog::Watchdog;
use crate::HelloOk;
use crate::frame::{EventFrame, Payload};
use crate::{CallId, Frame, GatewayError, Generation};

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
                    Place::Next => Received::Event { event, gap: None },
                    Place::Gap(gap) => Received::Event { event, gap: Some(gap) },
                    Place::Repeated => Received::Ignored(IgnoredFrame::Repeated),
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

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
