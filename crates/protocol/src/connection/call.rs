//! One call as [`CallTable`](super::CallTable) knows it: the request, its rules, and its possible ends.

use std::time::Instant;

use crate::{CallError, Generation, MethodName, RawJson, TraceParent};

/// Where the end of a call is told.
pub trait ReplySlot {
    /// Whether the caller no longer waits for the reply.
    fn is_abandoned(&self) -> bool;
    /// Tells the end, and the connection that carried the call last, if one did. Never blocks.
    fn reply(self, end: Result<RawJson, CallError>, carried: Option<Generation>);
}

/// Whether a call may be written again after its connection broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// Doing it twice is doing it once: read-only methods, or those that set a state.
    Always,
    /// It carries an idempotency key, which the gateway remembers until it is restarted.
    SameBoot,
    /// It could happen twice.
    Never,
}

/// Which answer ends a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnswerMode {
    /// The first one.
    #[default]
    First,
    /// The one after `status: "accepted"`: method `agent` answers when it takes a run, and again when the run ends.
    Final,
}

/// One call as it is handed in.
#[derive(Debug)]
pub struct CallRequest<S> {
    /// The method to call.
    pub method: MethodName,
    /// The parameters; `None` leaves `params` out of the frame.
    pub params: Option<RawJson>,
    /// When the caller gives up.
    pub deadline: Instant,
    /// The rule for the case that the connection breaks under it.
    pub resend: Resend,
    /// Which answer ends it.
    pub answers: AnswerMode,
    /// Whether to wait for a line that is down.
    pub wait_for_line: bool,
    /// Where it belongs in a trace; told to gateways that can be told.
    pub trace: Option<TraceParent>,
    /// Where to tell the end.
    pub slot: S,
}

/// The bounds of [`CallTable`](super::CallTable).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Requests that may be unanswered at a time. Past that, calls wait.
    pub in_flight: usize,
    /// Calls that may wait at a time. Past that, they end as [`NotSent::QueueFull`](crate::NotSent::QueueFull).
    pub waiting: usize,
}

impl Default for CallLimits {
    /// 192 in flight: 2026.9.6 refuses a request while 256 requests of all its clients wait to be started, so this
    /// leaves a quarter to others. 4,096 waiting: a burst of calls waits here rather than being turned away there.
    fn default() -> Self {
        Self {
            in_flight: 192,
            waiting: 4096,
        }
    }
}

/// The fate of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// It ended its call.
    Ended,
    /// It was the first of two, and its call waits for the second.
    Accepted,
    /// No call has that id: cancelled, timed out, or ended by an earlier answer.
    Stray,
}

/// How many calls went which way, since the line was made. Only ever grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CallCounters {
    /// Requests written, repeats included.
    pub sent: u64,
    /// Requests written again after a reconnect.
    pub resent: u64,
    /// Calls that ended with a payload.
    pub ok: u64,
    /// Calls that ended as [`Rejected`](crate::Rejected).
    pub rejected: u64,
    /// Calls that ended as [`NotSent`](crate::NotSent).
    pub not_sent: u64,
    /// Calls that ended as [`OutcomeUnknown`](crate::OutcomeUnknown).
    pub unknown: u64,
    /// Calls that ended as [`TimedOut`](crate::TimedOut).
    pub timed_out: u64,
    /// Calls that were dropped by their caller.
    pub abandoned: u64,
    /// Answers that no call waited for.
    pub stray: u64,
}
