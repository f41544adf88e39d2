//! The way of a call from its caller into a line.
//!
//! A caller takes a place before it puts its call into the inbox, and the line gives the place back when the call is no
//! longer waiting. So the line may always empty the inbox: no call lies there where its deadline is not looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::{Semaphore, TryAcquireError, mpsc};
use windlass_protocol::connection::CallRequest;
use windlass_protocol::{CallError, NotSent};

use super::Reply;
use super::pending_calls::PendingCallsCell;

/// The messages of callers in a line's inbox.
pub(crate) enum LineMessage {
    /// A call; it has a place.
    Call(Box<CallRequest<Reply>>),
    /// A caller went away: its place can be freed.
    Cancelled,
    /// The subscribed topics changed: there may be a request to make.
    TopicSubscription,
}

/// The state that both ends of an inbox share.
#[derive(Debug)]
pub(super) struct Entrance {
    /// One for each call that may wait, in the inbox and in the table together.
    pub(super) places: Semaphore,
    /// A [`LineMessage::Cancelled`] lies in the inbox: one is enough for all calls that are dropped before the line looks.
    pub(super) cancelled: AtomicBool,
    /// The same for [`LineMessage::TopicSubscription`].
    pub(super) declared: AtomicBool,
}

impl Entrance {
    pub(super) fn new(places: usize) -> Self {
        Self {
            places: Semaphore::new(places.min(Semaphore::MAX_PERMITS)),
            cancelled: AtomicBool::new(false),
            declared: AtomicBool::new(false),
        }
    }
}

/// The callers' end of a line's inbox.
#[derive(Clone)]
pub(super) struct Inbox {
    sender: mpsc::UnboundedSender<LineMessage>,
    entrance: Arc<Entrance>,
    pending: Arc<PendingCallsCell>,
}

/// The line is closed, and took nothing.
struct Gone;

/// Why a call could not be put into an inbox at once.
pub(super) enum Turned {
    /// All places are taken.
    Full(Box<CallRequest<Reply>>),
    /// The line is closed.
    Closed,
}

impl Inbox {
    pub(super) const fn new(
        sender: mpsc::UnboundedSender<LineMessage>,
        entrance: Arc<Entrance>,
        pending: Arc<PendingCallsCell>,
    ) -> Self {
        Self {
            sender,
            entrance,
            pending,
        }
    }

    /// Puts a call in if there is a place.
    pub(super) fn try_enter(&self, call: Box<CallRequest<Reply>>) -> Result<(), Turned> {
        match self.entrance.places.try_acquire() {
            Ok(place) => {
                place.forget();
                self.put(call).map_err(|Gone| Turned::Closed)
            }
            Err(TryAcquireError::NoPermits) => Err(Turned::Full(call)),
            Err(TryAcquireError::Closed) => Err(Turned::Closed),
        }
    }

    /// Waits for a place, until the call's deadline at most.
    ///
    /// ## Cancel safety
    /// A call is not put in when the future is dropped.
    pub(super) async fn enter(self, call: Box<CallRequest<Reply>>, now: Instant) -> Result<(), CallError> {
        let deadline = call.deadline;
        match tokio::time::timeout_at(deadline.into(), self.entrance.places.acquire()).await {
            Ok(Ok(place)) => {
                place.forget();
                self.put(call).map_err(|Gone| NotSent::Closed.into())
            }
            Ok(Err(_)) => Err(NotSent::Closed.into()),
            Err(_) => Err(NotSent::NotReady {
                waited: deadline.saturating_duration_since(now),
            }
            .into()),
        }
    }

    fn put(&self, call: Box<CallRequest<Reply>>) -> Result<(), Gone> {
        let deadline = call.deadline;
        self.sender.send(LineMessage::Call(call)).map_err(|_| Gone)?;
        // Behind the call: where it is looked at, the call is found.
        self.pending.watch(deadline);
        Ok(())
    }

    /// A caller went away, and its slot with it.
    pub(super) fn cancelled(&self) {
        self.tell(&self.entrance.cancelled, LineMessage::Cancelled);
    }

    /// Has the line look at its topics.
    pub(super) fn declared(&self) {
        self.tell(&self.entrance.declared, LineMessage::TopicSubscription);
    }

    fn tell(&self, told: &AtomicBool, message: LineMessage) {
        if !told.swap(true, Ordering::AcqRel) {
            // A line that is closed has nothing left to look at.
            let _ = self.sender.send(message);
        }
    }
}
