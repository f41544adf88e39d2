//! A call that is under way, as its caller holds it.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::sync::oneshot;
use windlass_protocol::{CallError, NotSent, RawJson};

use super::inbox::Turned;
use super::{Ended, Line, OutgoingCall, Reply};
use crate::telemetry::CallSpan;

/// A call that was handed to its line. Ends by its deadline at the latest; dropping it cancels the call: it is not sent if
/// it was not yet, and its place is freed.
///
/// Written by hand, and not as an `async fn`: it is a third of the size, and futures that many callers hold at a time have to be in
/// the processor's caches.
#[must_use = "dropping it cancels the call"]
pub struct Calling<L: Deref<Target = Line> + Unpin> {
    line: L,
    observed: CallSpan,
    stage: Stage,
}

/// How far a call is.
enum Stage {
    /// All places of the line are taken. In a box: few calls meet one, and all would carry its state.
    Queueing(Pin<Box<dyn Future<Output = Result<(), CallError>> + Send>>, End),
    /// The line has it.
    Waiting(End),
    /// It never got to the line.
    Refused(CallError),
    /// The end was given out.
    Over,
}

type End = oneshot::Receiver<Ended>;

impl<L: Deref<Target = Line> + Unpin> Calling<L> {
    pub(super) fn begin(line: L, call: OutgoingCall, now: Instant) -> Self {
        let observed = CallSpan::begin(&line.id, &call.method, now, &line.meter);
        let (reply, end) = oneshot::channel();
        let stage = match line.inbox.try_enter(Box::new(call.into_request(Reply::Caller(reply)))) {
            Ok(()) => Stage::Waiting(end),
            Err(Turned::Closed) => Stage::Refused(NotSent::Closed.into()),
            Err(Turned::Full(call)) => Stage::Queueing(Box::pin(line.inbox.clone().enter(call, now)), end),
        };
        Self { line, observed, stage }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        if let Stage::Queueing(room, _) = &mut self.stage {
            let queued = ready!(room.as_mut().poll(cx));
            let before = std::mem::replace(&mut self.stage, Stage::Over);
            self.stage = match (queued, before) {
                (Ok(()), Stage::Queueing(_, end)) => Stage::Waiting(end),
                (Err(error), _) => Stage::Refused(error),
                (Ok(()), other) => other,
            };
        }
        if let Stage::Waiting(end) = &mut self.stage {
            let end = ready!(Pin::new(end).poll(cx));
            self.stage = Stage::Over;
            // The slot was dropped unused only if the inbox died with the call still in it.
            return Poll::Ready(end.unwrap_or_else(|_| (Err(NotSent::Closed.into()), None)));
        }
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Refused(error) => Poll::Ready((Err(error), None)),
            _ => Poll::Pending,
        }
    }
}

impl<L: Deref<Target = Line> + Unpin> Future for Calling<L> {
    type Output = Result<RawJson, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (end, carried) = ready!(self.poll_end(cx));
        let this = &mut *self;
        this.observed.end(&end, carried, &*this.line.clock);
        Poll::Ready(end)
    }
}

impl<L: Deref<Target = Line> + Unpin> Drop for Calling<L> {
    fn drop(&mut self) {
        if let Stage::Waiting(_) = self.stage {
            // So that its place is freed now and not at the deadline. The receiver goes first: the line looks at once.
            self.stage = Stage::Over;
            self.line.inbox.cancelled();
        }
        self.observed.cancelled(&*self.line.clock);
    }
}

impl<L: Deref<Target = Line> + Unpin> fmt::Debug for Calling<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calling")
            .field("gateway", &self.line.id)
            .finish_non_exhaustive()
    }
}
