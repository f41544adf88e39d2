//! How a call ends: exactly once, in one of five ways.
//!
//! `Ok(payload)` is the first; the other four are the variants of [`CallError`], each with a type of its own so that
//! code above can take exactly the case that it can act on.

use std::time::Duration;

use crate::{GatewayError, Generation, MethodName};

/// Why a call has no payload.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The gateway answered with an error: it did not execute the request.
    #[error(transparent)]
    Rejected(#[from] Box<Rejected>),
    /// The request never left this process, so nothing happened on the gateway.
    #[error(transparent)]
    NotSent(#[from] NotSent),
    /// The request was written, the line broke before an answer, and sending it again could do it twice.
    #[error(transparent)]
    OutcomeUnknown(#[from] OutcomeUnknown),
    /// The request was written and no answer came within the call's deadline.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

impl CallError {
    /// One lower-case word for the outcome, as logs and metrics name it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Rejected(_) => "rejected",
            Self::NotSent(_) => "not_sent",
            Self::OutcomeUnknown(_) => "unknown",
            Self::TimedOut(_) => "timed_out",
        }
    }
}

/// The gateway refused a call. `Display` shows the gateway's own words, made safe and cut as [`GatewayError`] does; so they are
/// not told a second time as its source.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the gateway rejected {method}: {error}")]
pub struct Rejected {
    /// The method that was called.
    pub method: MethodName,
    /// The answer of the gateway.
    pub error: GatewayError,
}

/// A call that was never written to a socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSent {
    /// The line was not up, or not free, before the call's deadline.
    #[error("not sent: the line was not ready within {}; see the gateway's status for the reason", Seconds(*.waited))]
    NotReady {
        /// How long the call waited.
        waited: Duration,
    },
    /// The call asked not to wait for a line that is down.
    #[error("not sent: the line is down and the call asked not to wait; see the gateway's status for the reason")]
    WouldWait,
    /// The frame is larger than the gateway takes (`policy.maxPayload`); the gateway would close the line with 1009.
    #[error("not sent: the frame has {size} bytes and the gateway takes {limit}; send less at once")]
    TooLarge {
        /// Size of the frame, in bytes.
        size: usize,
        /// The gateway's limit, in bytes.
        limit: u64,
    },
    /// The request can't be written: its method's name or its parameters are not fit for a frame.
    #[error("not sent: {why}")]
    Invalid {
        /// The fault of it.
        why: String,
    },
    /// Too many calls wait for this gateway already.
    #[error("not sent: {limit} calls wait for this gateway already; call less at once or raise the limit")]
    QueueFull {
        /// The bound that was met.
        limit: usize,
    },
    /// The gateway was removed from the registry, or Windlass shut down.
    #[error("not sent: this gateway's line was closed for good")]
    Closed,
}

/// A call with an effect that can't be known from here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "outcome unknown: {method} was sent in generation {generation} and {why}; look at the gateway before you send it again"
)]
pub struct OutcomeUnknown {
    /// The method that was called.
    pub method: MethodName,
    /// The connection that carried the request.
    pub generation: Generation,
    /// The reason.
    pub why: UnknownReason,
}

/// Why the outcome of a call is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownReason {
    /// The line broke, and the method has a side effect that nothing protects from happening twice.
    #[error("the line broke before the answer")]
    LineLost,
    /// The call carries an idempotency key, but the gateway that remembered it has been restarted.
    #[error("the gateway restarted before the answer")]
    GatewayRestarted,
    /// The call carries an idempotency key, and this gateway does not tell whether it was restarted.
    #[error("the line broke before the answer, and the gateway may have restarted")]
    MaybeRestarted,
    /// The call carries an idempotency key, but was sent so long ago that the gateway may have forgotten it.
    #[error("the line was down for longer than the gateway remembers the call's key")]
    KeyForgotten,
    /// The call carries an idempotency key and was sent again in the same process, which refused it: a gateway that drains or is busy
    /// does so before it looks at the key.
    #[error("the line broke before the answer, and when it was sent again the gateway took nothing")]
    RepeatRefused,
    /// Windlass shut down, or the gateway was removed, while the call was under way.
    #[error("the line was closed for good before the answer")]
    Closed,
}

/// A call that was sent and not answered in time. The gateway may still do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("timed out: no answer to {method} within {}; the gateway may still carry it out", Seconds(*.after))]
pub struct TimedOut {
    /// The method that was called.
    pub method: MethodName,
    /// From the call to its deadline.
    pub after: Duration,
}

/// A duration as an operator reads it.
struct Seconds(Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_says_what_to_do_next() {
        let method = MethodName::new("agents.create").unwrap();
        let cases: [(CallError, &str); 5] = [
            (
                NotSent::NotReady {
                    waited: Duration::from_millis(1500),
                }
                .into(),
                "not sent: the line was not ready within 1.5 s; see the gateway's status for the reason",
            ),
            (
                NotSent::TooLarge {
                    size: 600_000,
                    limit: 524_288,
                }
                .into(),
                "not sent: the frame has 600000 bytes and the gateway takes 524288; send less at once",
            ),
            (
                NotSent::QueueFull { limit: 9 }.into(),
                "not sent: 9 calls wait for this gateway already; call less at once or raise the limit",
            ),
            (
                OutcomeUnknown {
                    method: method.clone(),
                    generation: Generation::new(3),
                    why: UnknownReason::LineLost,
                }
                .into(),
                "outcome unknown: agents.create was sent in generation 3 and the line broke before the answer; \
                 look at the gateway before you send it again",
            ),
            (
                TimedOut {
                    method,
                    after: Duration::from_secs(30),
                }
                .into(),
                "timed out: no answer to agents.create within 30.0 s; the gateway may still carry it out",
            ),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }
}
