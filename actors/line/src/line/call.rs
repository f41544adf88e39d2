//! One call on its way from a caller to the wire.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use windlass_protocol::connection::{AnswerMode, CallRequest, ReplySlot, Resend};
use windlass_protocol::{CallError, Generation, MethodName, RawJson, TraceParent};

use super::topic_table::{Ask, TopicTable};

/// A call as a line takes it: everything decided.
#[derive(Debug, Clone)]
pub struct OutgoingCall {
    /// The method to call.
    pub method: MethodName,
    /// Its parameters.
    pub params: Option<RawJson>,
    /// When to give up.
    pub deadline: Instant,
    /// Whether it may be written again after a reconnect.
    pub resend: Resend,
    /// Which answer ends it.
    pub answers: AnswerMode,
    /// Whether to wait for a line that is down.
    pub wait_for_line: bool,
    /// Where it belongs in a trace; told to gateways that can be told.
    pub trace: Option<TraceParent>,
}

impl OutgoingCall {
    pub(crate) fn into_request(self, slot: Reply) -> CallRequest<Reply> {
        CallRequest {
            method: self.method,
            params: self.params,
            deadline: self.deadline,
            resend: self.resend,
            answers: self.answers,
            wait_for_line: self.wait_for_line,
            trace: self.trace,
            slot,
        }
    }
}

/// The end of a call, and the connection that carried it last.
pub(crate) type Ended = (Result<RawJson, CallError>, Option<Generation>);

/// The receiver of the end of a call.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A caller that waits for it.
    Caller(oneshot::Sender<Ended>),
    /// The line's own topics, which take it up at once: before the next frame is read.
    TopicSubscription(Arc<TopicTable>, Ask),
}

impl ReplySlot for Reply {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Caller(sender) => sender.is_closed(),
            Self::TopicSubscription(..) => false,
        }
    }

    fn reply(self, end: Result<RawJson, CallError>, carried: Option<Generation>) {
        match self {
            // Nobody waits any more: the caller was cancelled in this very moment.
            Self::Caller(sender) => drop(sender.send((end, carried))),
            Self::TopicSubscription(topics, ask) => topics.answered(&ask, end),
        }
    }
}
