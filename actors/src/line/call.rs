//! One call on its way from a caller to the wire.

use std::time::Instant;

use tokio::sync::oneshot;
use windlass_protocol::connection::{AnswerMode, CallRequest, ReplySlot, Resend};
use windlass_protocol::{CallError, MethodName, RawJson};

/// A call as a line takes it: everything decided.
#[derive(Debug, Clone)]
pub struct OutgoingCall {
    /// What to call.
    pub method: MethodName,
    /// With what.
    pub params: Option<RawJson>,
    /// When to give up.
    pub deadline: Instant,
    /// Whether it may be written again after a reconnect.
    pub resend: Resend,
    /// Which answer ends it.
    pub answers: AnswerMode,
    /// Whether to wait for a line that is down.
    pub wait_for_line: bool,
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
            slot,
        }
    }
}

/// Where a caller waits for the end of its call.
#[derive(Debug)]
pub(crate) struct Reply(oneshot::Sender<Result<RawJson, CallError>>);

impl Reply {
    pub(crate) const fn new(sender: oneshot::Sender<Result<RawJson, CallError>>) -> Self {
        Self(sender)
    }
}

impl ReplySlot for Reply {
    fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }

    fn reply(self, end: Result<RawJson, CallError>) {
        // Nobody waits any more: the caller was cancelled in this very moment.
        let _ = self.0.send(end);
    }
}
