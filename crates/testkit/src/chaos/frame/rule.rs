//! Which frames a fault is for.

use std::fmt;

use serde_json::Value;

use super::super::Direction;
use crate::gateway::halves;

/// A fault of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameFault {
    /// It never arrives; the following frames do.
    Lose,
    /// Its text ends in the middle. The frame itself is whole.
    Truncate,
    /// Its bytes end in the middle, and with them the connection.
    Tear,
    /// It arrives twice.
    Duplicate,
    /// It arrives after the next one.
    Reorder,
    /// Some of its characters are others; it may still be JSON.
    Corrupt,
    /// A text that is no JSON stands in its place.
    Garbage,
    /// Its `id` is one that was never given out.
    WrongId,
    /// Its `id` is that of the frame before it which had one.
    RepeatId,
    /// A frame of so many bytes, of an unknown kind, arrives before it.
    Oversize(usize),
    /// So many pings of 125 bytes arrive before it.
    Pings(u32),
    /// It says the same, and so many bytes more that mean nothing.
    Pad(usize),
    /// A close frame with this code stands in its place, and the connection ends.
    Close(u16),
}

impl FrameFault {
    /// One word for programs and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lose => "lose",
            Self::Truncate => "truncate",
            Self::Tear => "tear",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Corrupt => "corrupt",
            Self::Garbage => "garbage",
            Self::WrongId => "wrong-id",
            Self::RepeatId => "repeat-id",
            Self::Oversize(_) => "oversize",
            Self::Pings(_) => "pings",
            Self::Pad(_) => "pad",
            Self::Close(_) => "close-at-frame",
        }
    }

    /// The next frame of any kind, to the client, unless said otherwise.
    pub const fn next(self) -> FrameRule {
        FrameRule {
            fault: self,
            direction: Direction::ToClient,
            which: Which::Any,
            pick: Pick::Nth(1),
        }
    }
}

/// Kinds of frames. Only text and binary frames that are whole messages count, never pings, pongs and closes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Which {
    /// All of them.
    Any,
    /// Requests (`type: "req"`).
    Requests,
    /// Responses.
    Responses,
    /// Events.
    Events,
    /// Requests of this method, or events of this name.
    Named(String),
}

/// How many of the frames that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The n-th from now on, counted from 1 over all connections; then the rule is spent.
    Nth(u32),
    /// Each with this chance in a thousand, until [`Calm`](super::super::Fault::Calm).
    Permille(u16),
}

/// A fault of frames and the frames that it is for.
///
/// ```
/// use windlass_testkit::chaos::{Direction, Fault, FrameFault, Which};
///
/// let third_answer = FrameFault::Truncate.next().of(Which::Responses).nth(3);
/// let some_requests = FrameFault::Duplicate.next().towards(Direction::ToGateway).permille(10);
/// println!("{}, {}", Fault::Arm(third_answer), Fault::Arm(some_requests));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRule {
    /// The fault.
    pub fault: FrameFault,
    /// To frames that go this way.
    pub direction: Direction,
    /// Of this kind.
    pub which: Which,
    /// So many of them.
    pub pick: Pick,
}

impl FrameRule {
    /// Frames that go this way.
    pub const fn towards(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// Frames of this kind.
    pub fn of(mut self, which: Which) -> Self {
        self.which = which;
        self
    }

    /// The n-th of them, counted from 1.
    pub const fn nth(mut self, n: u32) -> Self {
        self.pick = Pick::Nth(n);
        self
    }

    /// Each of them with this chance in a thousand.
    pub const fn permille(mut self, chance: u16) -> Self {
        self.pick = Pick::Permille(chance);
        self
    }
}

impl fmt::Display for FrameRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.fault.name())?;
        match self.fault {
            FrameFault::Oversize(bytes) => write!(f, " {bytes} bytes before")?,
            FrameFault::Pings(pings) => write!(f, " {pings} before")?,
            FrameFault::Pad(bytes) => write!(f, " {bytes} bytes into")?,
            FrameFault::Close(code) => write!(f, " {code} at")?,
            _ => {}
        }
        match self.pick {
            Pick::Nth(1) => f.write_str(" the next")?,
            Pick::Nth(n) => write!(f, " frame {n} of")?,
            Pick::Permille(chance) => write!(f, " {chance} in 1000 of")?,
        }
        match &self.which {
            Which::Any => f.write_str(" frames")?,
            Which::Requests => f.write_str(" requests")?,
            Which::Responses => f.write_str(" responses")?,
            Which::Events => f.write_str(" events")?,
            Which::Named(name) => write!(f, " {name}")?,
        }
        write!(f, " {}", self.direction)
    }
}

/// The kind and the name of a frame. Parsed on demand only.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) kind: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) id: Option<String>,
}

impl Reading {
    pub(crate) fn of(payload: &[u8]) -> Self {
        // Frames that matter are far smaller, and reading costs.
        const MOST: usize = 4 * 1024 * 1024;
        if payload.len() > MOST {
            return Self::default();
        }
        let Some(Value::Object(mut object)) = halves::read_bytes(payload) else {
            return Self::default();
        };
        let mut text = |key| match object.remove(key) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        Self {
            kind: text("type"),
            name: text("method").or_else(|| text("event")),
            id: text("id"),
        }
    }

    pub(crate) fn is(&self, which: &Which) -> bool {
        let kind = |wanted: &str| self.kind.as_deref() == Some(wanted);
        match which {
            Which::Any => true,
            Which::Requests => kind("req"),
            Which::Responses => kind("res"),
            Which::Events => kind("event"),
            Which::Named(name) => self.name.as_ref() == Some(name),
        }
    }
}
