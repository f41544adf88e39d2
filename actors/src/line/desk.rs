//! The calls of a line, and who is in charge of them.
//!
//! At any time exactly one future looks after a desk: the connection's driver while the line is up, and [`hold`]
//! around whatever the line waits for while it is down. Both are polled by the line's supervisor only, so that nothing
//! is shared but this one cell, and a panic in one leaves the calls to the next.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::mpsc;
use windlass_protocol::connection::Calls;

use super::{LineMessage, Reply};
use crate::clock::Clock;

/// The calls of a line and the inbox that they come from.
pub(crate) struct Desk {
    inbox: mpsc::Receiver<LineMessage>,
    pub(crate) calls: Calls<Reply>,
}

impl Desk {
    pub(crate) const fn new(inbox: mpsc::Receiver<LineMessage>, calls: Calls<Reply>) -> Self {
        Self { inbox, calls }
    }

    /// Takes what lies in the inbox, as long as there is room. Registers for what comes later.
    pub(crate) fn poll_inbox(&mut self, cx: &mut Context<'_>, now: Instant) {
        let mut cancelled = false;
        while self.calls.has_room() {
            match self.inbox.poll_recv(cx) {
                Poll::Ready(Some(LineMessage::Call(request))) => self.calls.admit(request, now),
                Poll::Ready(Some(LineMessage::Cancelled)) => cancelled = true,
                // It is enough that this woke the driver.
                Poll::Ready(Some(LineMessage::Declared)) => {}
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        if cancelled {
            self.calls.expire(now);
        }
    }

    /// Takes no call any more; those in the inbox already are still taken.
    pub(crate) fn close_inbox(&mut self) {
        self.inbox.close();
    }

    /// Ends every call, in the inbox too: the line is closed for good.
    pub(crate) fn close(&mut self) {
        self.inbox.close();
        while let Ok(message) = self.inbox.try_recv() {
            drop(message);
        }
        self.calls.close();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.close();
    }
}

/// Looks after a desk until `until` is done: takes calls in, and ends those whose deadline comes.
pub(crate) async fn hold<F: Future>(desk: &Rc<RefCell<Desk>>, clock: &dyn Clock, until: F) -> F::Output {
    let mut until = pin!(until);
    let mut timer = pin!(tokio::time::sleep_until(clock.now().into()));
    poll_fn(|cx| {
        if let Poll::Ready(output) = until.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        let now = clock.now();
        let mut desk = desk.borrow_mut();
        desk.poll_inbox(cx, now);
        while let Some(deadline) = desk.calls.next_deadline() {
            if deadline > now {
                timer.as_mut().reset(deadline.into());
                if timer.as_mut().poll(cx).is_pending() {
                    break;
                }
            }
            desk.calls.expire(now.max(deadline));
            desk.poll_inbox(cx, now);
        }
        Poll::Pending
    })
    .await
}
