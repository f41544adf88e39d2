//! The calls of a line: their way in, and their driver.
//!
//! A caller takes a place before it puts its call into the inbox, and the line gives the place back when the call is no
//! longer waiting. So the line may always empty the inbox: no call lies there where its deadline is not looked at.
//!
//! At any time exactly one future looks after a line's pending calls: the connection's driver while the line is up, and [`drive_calls_until`]
//! around each wait of a line that is down. Both are polled by the line's supervisor only, and a panic in one
//! leaves the calls to the next. Where that thread does not come to it by a call's deadline, the
//! [`Backstop`](super::Backstop) ends the call in its place: hence the lock, which is held for no foreign code but wakers.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::sync::{Semaphore, TryAcquireError, mpsc};
use tokio::task::unconstrained;
use windlass_protocol::connection::{CallLimits, CallRequest, CallTable};
use windlass_protocol::{CallError, NotSent};

use crate::clock::Clock;
use crate::line::backstop::{Backstop, WatchedCalls};
use crate::line::{CallReply, MAX_TOPICS};

/// The calls of a line and the inbox that they come from.
pub(crate) struct PendingCalls {
    inbox: mpsc::UnboundedReceiver<LineMessage>,
    state: Arc<InboxState>,
    pub(crate) calls: CallTable<CallReply>,
    /// Places that were taken by calls that came out of the inbox and were not given back yet.
    taken: usize,
}

impl PendingCalls {
    /// `limits.waiting` is the number of places of the inbox.
    pub(crate) fn new(inbox: mpsc::UnboundedReceiver<LineMessage>, state: Arc<InboxState>, limits: CallLimits) -> Self {
        // A call that has a place is never turned away: beside those that have one there are what a cut takes back and the
        // line's own questions.
        let beside = limits.in_flight.saturating_add(MAX_TOPICS);
        let calls = CallTable::new(CallLimits {
            waiting: limits.waiting.saturating_add(beside),
            ..limits
        });
        Self {
            inbox,
            state,
            calls,
            taken: 0,
        }
    }

    /// Takes all messages of the inbox. Registers for later ones.
    pub(crate) fn poll_inbox(&mut self, cx: &mut Context<'_>, now: Instant) {
        let mut cancelled = false;
        while let Poll::Ready(Some(message)) = self.inbox.poll_recv(cx) {
            cancelled |= self.handle_message(message, now);
        }
        self.after_messages(cancelled);
    }

    /// Takes all that lies in the inbox, in the place of the future that is registered there.
    fn drain_inbox(&mut self, now: Instant) {
        let mut cancelled = false;
        while let Ok(message) = self.inbox.try_recv() {
            cancelled |= self.handle_message(message, now);
        }
        self.after_messages(cancelled);
    }

    /// Tells whether a caller went away.
    fn handle_message(&mut self, message: LineMessage, now: Instant) -> bool {
        match message {
            LineMessage::Call(request) => {
                self.taken += 1;
                self.calls.admit(request, now);
                false
            }
            LineMessage::Cancelled => self.state.cancelled.swap(false, Ordering::AcqRel),
            // It is enough that this woke the driver.
            LineMessage::TopicsChanged => {
                self.state.topics_changed.store(false, Ordering::Release);
                false
            }
        }
    }

    fn after_messages(&mut self, cancelled: bool) {
        if cancelled {
            self.calls.free_abandoned();
        }
        self.release_places();
    }

    /// Ends the calls that are late.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.calls.expire(now);
        self.release_places();
    }

    /// A call that was written, or has ended, waits no longer. A call that a cut took back may have no place: then none is given
    /// back until fewer calls wait than have one.
    fn release_places(&mut self) {
        let free = self.taken.saturating_sub(self.calls.waiting());
        if free > 0 {
            self.taken -= free;
            self.state.places.add_permits(free);
        }
    }

    /// Takes no call any more; those in the inbox already are still taken.
    pub(crate) fn close_inbox(&mut self) {
        self.state.places.close();
        self.inbox.close();
    }

    /// Ends every call, in the inbox too: the line is closed for good.
    pub(crate) fn close(&mut self) {
        self.close_inbox();
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            // Without tokio's budget of a task, which would make an inbox look empty that is not.
            let next = pin!(unconstrained(poll_fn(|cx| self.inbox.poll_recv(cx))));
            match next.poll(&mut cx) {
                Poll::Ready(Some(message)) => drop(message),
                Poll::Ready(None) => break,
                // A caller is between two instructions: it saw the inbox open, and its call is not in it yet.
                Poll::Pending => std::thread::yield_now(),
            }
        }
        self.calls.close();
    }
}

/// The pending calls of a line, where both the line's thread and the [`Backstop`] find it.
pub(crate) struct PendingCallsCell {
    pending: Mutex<PendingCalls>,
    /// With the number by which it knows this line.
    backstop: Option<(Backstop, u64)>,
    /// When the line was made: [`watched`](Self::watched) counts from here.
    epoch: Instant,
    /// Up to when the backstop has been asked to look, in nanoseconds. A call with a later deadline needs not ask.
    watched: AtomicU64,
}

impl PendingCallsCell {
    pub(crate) fn new(pending: PendingCalls, backstop: Option<Backstop>, epoch: Instant) -> Self {
        Self {
            pending: Mutex::new(pending),
            backstop: backstop.map(|backstop| {
                let number = backstop.register();
                (backstop, number)
            }),
            epoch,
            watched: AtomicU64::new(u64::MAX),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, PendingCalls> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the backstop look at `deadline`, unless it looks before: one load for nearly every call.
    pub(crate) fn watch(self: &Arc<Self>, deadline: Instant) {
        let Some((backstop, number)) = &self.backstop else {
            return;
        };
        let since = deadline.saturating_duration_since(self.epoch);
        let nanos = since
            .as_secs()
            .saturating_mul(1_000_000_000)
            .saturating_add(u64::from(since.subsec_nanos()));
        if nanos < self.watched.load(Ordering::Relaxed) && nanos < self.watched.fetch_min(nanos, Ordering::AcqRel) {
            let pending: Weak<dyn WatchedCalls> = Arc::<Self>::downgrade(self);
            backstop.schedule_check(deadline, *number, pending);
        }
    }
}

impl WatchedCalls for PendingCallsCell {
    /// From here on calls ask for a look again.
    fn reset_watch(&self) {
        self.watched.store(u64::MAX, Ordering::Release);
    }

    /// Ends the calls of callers that are late, as the line's thread would have done. Returns the next deadline.
    fn end_overdue(&self, now: Instant) -> Option<Instant> {
        let mut pending = self.lock();
        pending.drain_inbox(now);
        // Not the line's own questions: their ends are told to subscribers, between two events.
        let next = pending
            .calls
            .expire_where(now, |slot| matches!(slot, CallReply::Caller(_)));
        pending.release_places();
        next
    }

    fn watch_again(self: Arc<Self>, deadline: Instant) {
        Self::watch(&self, deadline);
    }
}

/// The right to a line's pending calls, held by the owner of the line. Calls end with it.
pub(crate) struct PendingCallsOwner(pub(crate) Arc<PendingCallsCell>);

impl std::ops::Deref for PendingCallsOwner {
    type Target = PendingCallsCell;

    fn deref(&self) -> &PendingCallsCell {
        &self.0
    }
}

impl Drop for PendingCallsOwner {
    fn drop(&mut self) {
        self.0.lock().close();
        if let Some((backstop, number)) = &self.0.backstop {
            backstop.unregister(*number);
        }
    }
}

/// Drives a line's pending calls until `until` is done: takes calls in, and ends them by their deadlines.
pub(crate) async fn drive_calls_until<F: Future>(pending: &PendingCallsCell, clock: &dyn Clock, until: F) -> F::Output {
    let mut until = pin!(until);
    let mut timer = pin!(tokio::time::sleep_until(clock.now().into()));
    poll_fn(|cx| {
        if let Poll::Ready(output) = until.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        let now = clock.now();
        let mut pending = pending.lock();
        pending.poll_inbox(cx, now);
        while let Some(deadline) = pending.calls.next_deadline() {
            if deadline > now {
                timer.as_mut().reset(deadline.into());
                if timer.as_mut().poll(cx).is_pending() {
                    break;
                }
            }
            pending.expire(now.max(deadline));
            pending.poll_inbox(cx, now);
        }
        Poll::Pending
    })
    .await
}

/// The messages of callers in a line's inbox.
pub(crate) enum LineMessage {
    /// A call; it has a place.
    Call(Box<CallRequest<CallReply>>),
    /// A caller went away: its place can be freed.
    Cancelled,
    /// The subscribed topics changed: there may be a request to make.
    TopicsChanged,
}

/// The state that both ends of an inbox share.
#[derive(Debug)]
pub(crate) struct InboxState {
    /// One for each call that may wait, in the inbox and in the table together.
    pub(crate) places: Semaphore,
    /// A [`LineMessage::Cancelled`] lies in the inbox: one is enough for all calls that are dropped before the line looks.
    pub(crate) cancelled: AtomicBool,
    /// The same for [`LineMessage::TopicsChanged`].
    pub(crate) topics_changed: AtomicBool,
}

impl InboxState {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places: Semaphore::new(places.min(Semaphore::MAX_PERMITS)),
            cancelled: AtomicBool::new(false),
            topics_changed: AtomicBool::new(false),
        }
    }
}

/// The callers' end of a line's inbox.
#[derive(Clone)]
pub(crate) struct Inbox {
    sender: mpsc::UnboundedSender<LineMessage>,
    state: Arc<InboxState>,
    pending: Arc<PendingCallsCell>,
}

/// The line is closed, and took nothing.
struct InboxClosed;

/// Why a call could not be put into an inbox at once.
pub(crate) enum EnqueueError {
    /// All places are taken.
    Full(Box<CallRequest<CallReply>>),
    /// The line is closed.
    Closed,
}

impl Inbox {
    pub(crate) const fn new(
        sender: mpsc::UnboundedSender<LineMessage>,
        state: Arc<InboxState>,
        pending: Arc<PendingCallsCell>,
    ) -> Self {
        Self { sender, state, pending }
    }

    /// Puts a call in if there is a place.
    pub(crate) fn try_send(&self, call: Box<CallRequest<CallReply>>) -> Result<(), EnqueueError> {
        match self.state.places.try_acquire() {
            Ok(place) => {
                place.forget();
                self.push(call).map_err(|InboxClosed| EnqueueError::Closed)
            }
            Err(TryAcquireError::NoPermits) => Err(EnqueueError::Full(call)),
            Err(TryAcquireError::Closed) => Err(EnqueueError::Closed),
        }
    }

    /// Waits for a place, until the call's deadline at most.
    ///
    /// ## Cancel safety
    /// A call is not put in when the future is dropped.
    pub(crate) async fn send(self, call: Box<CallRequest<CallReply>>, now: Instant) -> Result<(), CallError> {
        let deadline = call.deadline;
        match tokio::time::timeout_at(deadline.into(), self.state.places.acquire()).await {
            Ok(Ok(place)) => {
                place.forget();
                self.push(call).map_err(|InboxClosed| NotSent::Closed.into())
            }
            Ok(Err(_)) => Err(NotSent::Closed.into()),
            Err(_) => Err(NotSent::NotReady {
                waited: deadline.saturating_duration_since(now),
            }
            .into()),
        }
    }

    fn push(&self, call: Box<CallRequest<CallReply>>) -> Result<(), InboxClosed> {
        let deadline = call.deadline;
        self.sender.send(LineMessage::Call(call)).map_err(|_| InboxClosed)?;
        // Behind the call: where it is looked at, the call is found.
        self.pending.watch(deadline);
        Ok(())
    }

    /// A caller went away, and its slot with it.
    pub(crate) fn notify_cancelled(&self) {
        self.notify(&self.state.cancelled, LineMessage::Cancelled);
    }

    /// Has the line look at its topics.
    pub(crate) fn notify_topics(&self) {
        self.notify(&self.state.topics_changed, LineMessage::TopicsChanged);
    }

    fn notify(&self, pending: &AtomicBool, message: LineMessage) {
        if !pending.swap(true, Ordering::AcqRel) {
            // A line that is closed has nothing left to look at.
            let _ = self.sender.send(message);
        }
    }
}
