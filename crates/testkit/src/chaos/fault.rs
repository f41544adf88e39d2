//! The faults of a connection, as data.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::{Direction, Door, FrameRule};

/// A fault that the proxy can make.
///
/// Faults of the first group happen at once, to all open connections. Faults of the second group last, for open and new
/// connections, until [`undo`](Self::undo) or [`Calm`](Self::Calm) takes them back. [`Arm`](Self::Arm) waits for its frame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Ends all open connections in both directions: FIN on TCP, end of file on a pipe.
    Cut,
    /// The same with RST on TCP; a pipe is cut.
    Reset,
    /// Freezes the open connections for good, without ending them (no FIN). New ones work.
    HalfOpen,
    /// Sends the client a WebSocket close frame with this code, and cuts. (A code that may not stand on the wire, such as
    /// 1006, is sent all the same.)
    Close(u16),

    /// Stops one direction.
    Stall(Direction),
    /// Lets a stalled direction go on, with all that waited in it.
    Resume(Direction),
    /// Each chunk takes this long, both ways, and up to `jitter` longer. The order stays. Zero ends it.
    Latency {
        /// The time that each takes.
        delay: Duration,
        /// The largest random addition to the delay.
        jitter: Duration,
    },
    /// Writes at most so many bytes per second in one direction; `None` for no bound.
    Bandwidth(Direction, Option<u64>),
    /// Reads at most so many bytes per second from the sender of this direction: a slow reader, so the buffers of the
    /// sender fill. `None` for no bound.
    SlowReader(Direction, Option<u64>),
    /// Writes at most so many bytes at once, both ways; `None` for as many as there are.
    Slice(Option<NonZeroUsize>),
    /// The treatment of new connections.
    Door(Door),
    /// The `ts` of `connect.challenge` is off by so many milliseconds.
    SkewClock(i64),

    /// Changes one frame, or some.
    Arm(FrameRule),

    /// Takes back all that lasts, and disarms all rules.
    Calm,
}

impl Fault {
    /// One word for programs and tables.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Reset => "reset",
            Self::HalfOpen => "half-open",
            Self::Close(_) => "close",
            Self::Stall(_) => "stall",
            Self::Resume(_) => "resume",
            Self::Latency { .. } => "latency",
            Self::Bandwidth(..) => "bandwidth",
            Self::SlowReader(..) => "slow-reader",
            Self::Slice(_) => "slice",
            Self::Door(door) => door.name(),
            Self::SkewClock(_) => "clock-skew",
            Self::Arm(rule) => rule.fault.name(),
            Self::Calm => "calm",
        }
    }

    /// The fault that takes it back; `None` for a fault that is over at once.
    pub const fn undo(&self) -> Option<Self> {
        Some(match self {
            Self::Stall(direction) => Self::Resume(*direction),
            Self::Latency { .. } => Self::Latency {
                delay: Duration::ZERO,
                jitter: Duration::ZERO,
            },
            Self::Bandwidth(direction, _) => Self::Bandwidth(*direction, None),
            Self::SlowReader(direction, _) => Self::SlowReader(*direction, None),
            Self::Slice(_) => Self::Slice(None),
            Self::Door(_) => Self::Door(Door::Open),
            Self::SkewClock(_) => Self::SkewClock(0),
            _ => return None,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close(code) => write!(f, "close {code}"),
            Self::Stall(direction) => write!(f, "stall {direction}"),
            Self::Resume(direction) => write!(f, "resume {direction}"),
            Self::Latency { delay, jitter } if delay.is_zero() && jitter.is_zero() => f.write_str("no latency"),
            Self::Latency { delay, jitter } => {
                write!(f, "latency {} ms, jitter {} ms", delay.as_millis(), jitter.as_millis())
            }
            Self::Bandwidth(direction, rate) => bounded(f, "bandwidth", *direction, *rate),
            Self::SlowReader(direction, rate) => bounded(f, "slow reader", *direction, *rate),
            Self::Slice(Some(most)) => write!(f, "slices of {most} bytes"),
            Self::Slice(None) => f.write_str("no slices"),
            Self::Door(door) => write!(f, "{door}"),
            Self::SkewClock(ms) => write!(f, "clock skew {ms} ms"),
            Self::Arm(rule) => write!(f, "{rule}"),
            Self::Cut | Self::Reset | Self::HalfOpen | Self::Calm => f.write_str(self.name()),
        }
    }
}

fn bounded(f: &mut fmt::Formatter<'_>, what: &str, direction: Direction, rate: Option<u64>) -> fmt::Result {
    match rate {
        Some(rate) => write!(f, "{what} {direction} {rate} bytes/s"),
        None => write!(f, "no {what} {direction}"),
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ToGateway => "to the gateway",
            Self::ToClient => "to the client",
        })
    }
}
