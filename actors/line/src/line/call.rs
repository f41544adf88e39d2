//! One call: as a line takes it, as its caller waits for it, and as it is seen from outside.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::sync::oneshot;
use tracing::Span;
use tracing::field::Empty;
use windlass_protocol::connection::{AnswerMode, CallRequest, ReplySlot, Resend};
use windlass_protocol::{CallError, GatewayId, Generation, MethodName, NotSent, RawJson, TraceParent};

use crate::clock::Clock;
use crate::line::Line;
use crate::line::pending_calls::EnqueueError;
use crate::line::topic_table::{TopicRequest, TopicTable};
use crate::telemetry::{CANCELLED, CallMeter, MethodMeter, OK};

/// A call as a line takes it: everything decided.
///
/// ```
/// use std::time::Duration;
///
/// use windlass_line::{Clock as _, OutgoingCall, TokioClock};
/// use windlass_protocol::MethodName;
/// use windlass_protocol::connection::{AnswerMode, Resend};
///
/// let call = OutgoingCall {
///     method: MethodName::new("health")?,
///     params: None,
///     deadline: TokioClock::start().now() + Duration::from_secs(10),
///     resend: Resend::Always,
///     answers: AnswerMode::First,
///     wait_for_line: true,
///     trace: None,
/// };
/// # let _ = call;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
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
    pub(crate) fn into_request(self, slot: CallReply) -> CallRequest<CallReply> {
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
pub(crate) type CallEnd = (Result<RawJson, CallError>, Option<Generation>);

/// The receiver of the end of a call.
#[derive(Debug)]
pub(crate) enum CallReply {
    /// A caller that waits for it.
    Caller(oneshot::Sender<CallEnd>),
    /// The line's own topics, which take it up at once: before the next frame is read.
    Topic(Arc<TopicTable>, TopicRequest),
}

impl ReplySlot for CallReply {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Caller(sender) => sender.is_closed(),
            Self::Topic(..) => false,
        }
    }

    fn reply(self, end: Result<RawJson, CallError>, carried: Option<Generation>) {
        match self {
            // No one waits any more: the caller was cancelled in this very moment.
            Self::Caller(sender) => drop(sender.send((end, carried))),
            Self::Topic(topics, ask) => topics.on_answer(&ask, end),
        }
    }
}

/// A call that was handed to its line. Ends by its deadline at the latest; dropping it cancels the call: it is not sent if
/// it was not yet, and its place is freed.
///
/// Written by hand, and not as an `async fn`: it is a third of the size, and futures that many callers hold at a time have to be in
/// the processor's caches.
#[must_use = "dropping it cancels the call"]
pub struct Calling<L: Deref<Target = Line> + Unpin> {
    line: L,
    observed: CallSpan,
    stage: CallStage,
}

/// How far a call is.
enum CallStage {
    /// All places of the line are taken. In a box: few calls meet one, and all would carry its state.
    Queueing(
        Pin<Box<dyn Future<Output = Result<(), CallError>> + Send>>,
        CallEndReceiver,
    ),
    /// The line has it.
    Waiting(CallEndReceiver),
    /// It never got to the line.
    Refused(CallError),
    /// The end was given out.
    Over,
}

type CallEndReceiver = oneshot::Receiver<CallEnd>;

impl<L: Deref<Target = Line> + Unpin> Calling<L> {
    pub(crate) fn begin(line: L, call: OutgoingCall, now: Instant) -> Self {
        let observed = CallSpan::begin(&line.id, &call.method, now, &line.meter);
        let (reply, end) = oneshot::channel();
        let stage = match line
            .inbox
            .try_send(Box::new(call.into_request(CallReply::Caller(reply))))
        {
            Ok(()) => CallStage::Waiting(end),
            Err(EnqueueError::Closed) => CallStage::Refused(NotSent::Closed.into()),
            Err(EnqueueError::Full(call)) => CallStage::Queueing(Box::pin(line.inbox.clone().send(call, now)), end),
        };
        Self { line, observed, stage }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<CallEnd> {
        if let CallStage::Queueing(room, _) = &mut self.stage {
            let queued = ready!(room.as_mut().poll(cx));
            let before = std::mem::replace(&mut self.stage, CallStage::Over);
            self.stage = match (queued, before) {
                (Ok(()), CallStage::Queueing(_, end)) => CallStage::Waiting(end),
                (Err(error), _) => CallStage::Refused(error),
                (Ok(()), other) => other,
            };
        }
        if let CallStage::Waiting(end) = &mut self.stage {
            let end = ready!(Pin::new(end).poll(cx));
            self.stage = CallStage::Over;
            // The slot was dropped unused only if the inbox died with the call still in it.
            return Poll::Ready(end.unwrap_or_else(|_| (Err(NotSent::Closed.into()), None)));
        }
        match std::mem::replace(&mut self.stage, CallStage::Over) {
            CallStage::Refused(error) => Poll::Ready((Err(error), None)),
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
        if let CallStage::Waiting(_) = self.stage {
            // So that its place is freed now and not at the deadline. The receiver goes first: the line looks at once.
            self.stage = CallStage::Over;
            self.line.inbox.notify_cancelled();
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

/// Watches one call from its start to its end. Costs next to nothing without a subscriber.
pub(crate) struct CallSpan {
    span: Span,
    /// `None` where no recorder wants its duration.
    watch: Option<CallTimer>,
}

struct CallTimer {
    began: Instant,
    /// Nothing where calls are not counted.
    method: Option<MethodMeter>,
}

impl CallSpan {
    /// The call begins.
    pub(crate) fn begin(gateway: &GatewayId, method: &MethodName, now: Instant, meter: &CallMeter) -> Self {
        let span = tracing::debug_span!(
            target: "windlass::call",
            "call",
            gateway = gateway.as_str(),
            method = method.as_str(),
            outcome = Empty,
            generation = Empty,
            duration_ms = Empty,
        );
        let method = meter.of(method);
        let wanted = method.is_some() || !span.is_disabled();
        let watch = wanted.then_some(CallTimer { began: now, method });
        Self { span, watch }
    }

    /// The call ended; `generation` is the connection that carried it last, if one did.
    pub(crate) fn end<T>(&mut self, end: &Result<T, CallError>, generation: Option<Generation>, clock: &dyn Clock) {
        if let Some(watch) = self.watch.take() {
            let outcome = end.as_ref().map_or_else(CallError::name, |_| OK);
            self.record(&watch, outcome, generation, clock.now());
        }
    }

    /// The caller went away. Nothing where the call ended before.
    pub(crate) fn cancelled(&mut self, clock: &dyn Clock) {
        if let Some(watch) = self.watch.take() {
            self.record(&watch, CANCELLED, None, clock.now());
        }
    }

    fn record(&mut self, watch: &CallTimer, outcome: &'static str, generation: Option<Generation>, now: Instant) {
        let took = now.saturating_duration_since(watch.began);
        if let Some(method) = &watch.method {
            method.ended(outcome, took);
        }
        // The span ends now, and not when the future is dropped that carried it.
        let span = std::mem::replace(&mut self.span, Span::none());
        if !span.is_disabled() {
            let generation = generation.map(Generation::number);
            let duration_ms = took.as_secs_f64() * 1e3;
            tracing::record_all!(
                span,
                outcome = outcome,
                generation = generation,
                duration_ms = duration_ms
            );
        }
    }
}
