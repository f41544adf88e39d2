//! Faults of single frames: the rule that selects frames, the kinds of faults, and one file for each fault.
//!
//! A fault takes one frame and returns steps. It does not know sockets, time or other faults.

mod close;
mod codec;
mod corrupt;
mod duplicate;
mod garbage;
mod head;
mod ids;
mod lose;
mod oversize;
mod pad;
mod pings;
mod reorder;
mod rule;
pub(super) mod skew;
mod tampering;
mod tear;
mod truncate;

use rand::rngs::StdRng;

use crate::net::link::Cut;

pub use self::rule::{FrameFault, FrameRule, Pick, Which};

pub(super) use self::close::closing;
pub(super) use self::codec::encode;
use self::codec::{Codec, Unit};
pub(super) use self::rule::Reading;
pub(super) use self::tampering::{Overseer, Tampering};

/// A whole WebSocket frame with its payload in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) opcode: u8,
    /// As it came, for frames that clients send.
    pub(super) mask: Option<[u8; 4]>,
    pub(super) payload: Vec<u8>,
}

/// One step of the output for a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// This one goes on.
    Pass(Frame),
    /// These bytes are forwarded, and may be anything.
    Bytes(Vec<u8>),
    /// The connection ends after the earlier steps.
    End(Cut),
}

/// The state that a direction keeps from frame to frame.
#[derive(Debug)]
pub(super) struct Memory {
    /// A frame that waits for the next one to pass before it.
    held: Option<Frame>,
    /// The id of the last frame that had one.
    last_id: Option<String>,
    rng: StdRng,
}

impl FrameFault {
    /// Does it.
    fn apply(self, frame: Frame, memory: &mut Memory) -> Vec<Step> {
        match self {
            Self::Lose => lose::lose(),
            Self::Truncate => truncate::truncate(frame),
            Self::Tear => tear::tear(&frame),
            Self::Duplicate => duplicate::duplicate(frame),
            Self::Reorder => reorder::hold(frame, memory),
            Self::Corrupt => corrupt::corrupt(frame, &mut memory.rng),
            Self::Garbage => garbage::garbage(&frame),
            Self::WrongId => ids::wrong(frame),
            Self::RepeatId => ids::repeated(frame, memory.last_id.as_deref()),
            Self::Oversize(bytes) => oversize::oversize(frame, bytes),
            Self::Pings(pings) => pings::pings(frame, pings),
            Self::Pad(bytes) => pad::pad(frame, bytes),
            Self::Close(code) => close::close(&frame, code),
        }
    }
}
