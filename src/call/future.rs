//! The future of a call.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use windlass_line::{Calling, Line};
use windlass_protocol::{CallError, NotSent, RawJson};

use super::Call;
use crate::Gateway;

/// A [`Call`] as a future: made when it is polled first, cancelled when it is dropped.
///
/// It has no box of its own, so a call that is awaited where it is prepared costs no allocation for its future.
#[must_use = "a call is made when it is awaited"]
pub struct CallFuture(Stage);

enum Stage {
    Prepared(Call),
    Made(Calling<OwnedLine>),
    /// A call that may be tried again, in a box: few are, and all would carry its state.
    Again(Pin<Box<dyn Future<Output = Result<RawJson, CallError>> + Send>>),
    /// Its end was told.
    Over,
}

/// A gateway's line for as long as a call needs it.
struct OwnedLine(Gateway);

impl Deref for OwnedLine {
    type Target = Line;

    fn deref(&self) -> &Line {
        self.0.line()
    }
}

impl CallFuture {
    pub(super) const fn new(call: Call) -> Self {
        Self(Stage::Prepared(call))
    }
}

impl Stage {
    /// Makes the call, or tells why it can't be made.
    fn make(call: Call) -> Result<Self, CallError> {
        let now = call.gateway.line().now();
        let (timeout, retry) = (call.timeout, call.policy());
        let (gateway, outgoing) = call.into_outgoing(now);
        let outgoing = outgoing.map_err(|why| NotSent::Invalid { why })?;
        Ok(match retry {
            None => Self::Made(Line::call_at(OwnedLine(gateway), outgoing, now)),
            Some(policy) => Self::Again(Box::pin(super::make_again(gateway, outgoing, timeout, policy))),
        })
    }
}

impl Future for CallFuture {
    type Output = Result<RawJson, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let stage = &mut self.0;
        if let Stage::Prepared(_) = stage
            && let Stage::Prepared(call) = std::mem::replace(stage, Stage::Over)
        {
            *stage = match Stage::make(call) {
                Ok(made) => made,
                Err(error) => return Poll::Ready(Err(error)),
            };
        }
        let end = match stage {
            Stage::Made(calling) => ready!(Pin::new(calling).poll(cx)),
            Stage::Again(again) => ready!(again.as_mut().poll(cx)),
            Stage::Prepared(_) | Stage::Over => return Poll::Pending,
        };
        // What it held is given back now, and not when the caller drops it.
        *stage = Stage::Over;
        Poll::Ready(end)
    }
}

impl fmt::Debug for CallFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Stage::Prepared(call) => call.fmt(f),
            Stage::Made(calling) => calling.fmt(f),
            Stage::Again(_) | Stage::Over => f.write_str("CallFuture"),
        }
    }
}
