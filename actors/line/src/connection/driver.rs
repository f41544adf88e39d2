//! The future that owns an established socket: everything that goes in or out passes here.
//!
//! One turn: orders, then up to a budget of frames in, then everything that waits out, one flush, then the timers. A
//! flush for each turn and not for each frame brings the throughput: a system call costs more than a frame.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytestring::ByteString;
use tokio::time::{Sleep, sleep_until, timeout};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Bytes, Error, Message, Utf8Bytes};
use windlass_protocol::connection::{AnswerEffect, Gap, IgnoredFrame, Received, Session, Vigil, WriteWatch};
use windlass_protocol::time::after;
use windlass_protocol::{CloseReason, EventFrame};

use crate::clock::{SECOND_LOOK, is_late};
use crate::connection::establish::{Established, broken, close_reason};
use crate::connection::{Order, OrderSlot};
use crate::failpoint;
use crate::line::{CallReply, DisconnectReason, LineContext, LineState};
use crate::routing::{Event, Incoming, Marker};
use crate::transport::{ReadBufferPolicy, Socket};

/// Frames read in one turn. Small, so that calls that wait to be written don't wait for long.
const READ_BUDGET: usize = 32;
/// Frames read in one turn when many calls are open: then all callers wait for answers.
const BUSY_READ_BUDGET: usize = 256;
/// How many calls under way count as many.
const BUSY: usize = 128;
/// How long a closing handshake may take before the socket is dropped, as in the reference client.
const CLOSE_GRACE: Duration = Duration::from_millis(250);

struct Driver {
    line: Rc<LineContext>,
    socket: Socket,
    buffers: ReadBufferPolicy,
    session: Session,
    writes: WriteWatch,
    orders: Rc<OrderSlot>,
    timer: Pin<Box<Sleep>>,
    /// The time of the timer. It may come early: then there is nothing to do, and it is set again.
    timer_at: Instant,
    /// The timer came late, as after the process was stopped: until then no silence and no deadline counts.
    second_look: Option<Instant>,
    /// The batch has events that were not handed over yet.
    has_events: bool,
    /// Something was written, or is to be written by the WebSocket itself (a pong).
    unflushed: bool,
    draining: Option<Instant>,
    /// When to ask again for the subscribed topics.
    topics_at: Option<Instant>,
}

/// Drives a socket until it breaks, or until it is told to stop.
///
/// Not an `async fn`: its future would have room for the arguments and for the driver that is made of them.
pub(super) fn drive(
    line: Rc<LineContext>,
    established: Established,
    orders: Rc<OrderSlot>,
) -> impl Future<Output = DisconnectReason> {
    let Established { socket, session } = established;
    let timer_at = session.watchdog.next_check();
    let timer = Box::pin(sleep_until(timer_at.into()));
    let mut driver = Driver {
        line,
        socket,
        buffers: ReadBufferPolicy::after_opening(),
        session,
        writes: WriteWatch::default(),
        orders,
        timer,
        timer_at,
        second_look: None,
        has_events: false,
        // A ping that came during the handshake may be unanswered.
        unflushed: true,
        draining: None,
        topics_at: None,
    };
    async move {
        let exit = poll_fn(|cx| driver.poll_turn(cx)).await;
        // In a box: it happens once, and every line would have room for it.
        Box::pin(driver.finish(exit)).await
    }
}

impl Driver {
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<DisconnectReason> {
        match self.turn(cx) {
            Ok(TurnEnd::Again) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Ok(TurnEnd::Wait) => {
                self.change_read_buffer();
                Poll::Pending
            }
            Err(exit) => Poll::Ready(exit),
        }
    }

    fn change_read_buffer(&mut self) {
        if let Some(size) = self.buffers.wanted()
            && self.socket.is_all_read()
            && !self.unflushed
        {
            self.socket.set_read_buffer(size);
            self.buffers.on_changed(size);
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Result<TurnEnd, DisconnectReason> {
        failpoint::reach("connection.turn");
        let now = self.line.shard.clock.now();
        self.take_orders(cx)?;
        let turn = self.read(cx);
        self.flush_events();
        let turn = turn?;
        let heard = self.socket.take_heard();
        if heard {
            self.session.watchdog.heard(now);
        }
        self.request_topics(now);
        self.write(cx, now)?;
        let (waits, taken) = (self.socket.is_blocked(), self.socket.take_moved());
        self.writes.look(now, waits, taken, heard);
        self.check_time(cx)?;
        {
            let (in_flight, waiting) = self.count_calls();
            self.line.router.meter().calls(in_flight, waiting);
        }
        let asked = self.draining.is_some() || !self.line.topics.is_due();
        Ok(if asked { turn } else { TurnEnd::Again })
    }

    fn take_orders(&mut self, cx: &mut Context<'_>) -> Result<(), DisconnectReason> {
        while let Poll::Ready(order) = self.orders.poll_take(cx) {
            match order {
                Order::Drain(until) => {
                    self.draining = Some(until);
                    self.line.pending.lock().close_inbox();
                    self.line.status.transition(
                        LineState::Draining {
                            until: self.line.shard.wall_at(until),
                        },
                        None,
                    );
                }
                Order::Close => return Err(DisconnectReason::Stopped),
            }
        }
        Ok(())
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<TurnEnd, DisconnectReason> {
        let busy = self.count_calls().0 > BUSY;
        for frames in 0..if busy { BUSY_READ_BUDGET } else { READ_BUDGET } {
            match self.socket.poll_next(cx) {
                Poll::Pending => {
                    self.buffers.on_turn(frames);
                    return Ok(TurnEnd::Wait);
                }
                Poll::Ready(None) => return Err(DisconnectReason::Closed(CloseReason::abnormal())),
                Poll::Ready(Some(Err(error))) => return Err(broken(error)),
                Poll::Ready(Some(Ok(message))) => self.take_message(message)?,
            }
        }
        self.buffers.on_turn(READ_BUDGET);
        Ok(TurnEnd::Again)
    }

    fn take_message(&mut self, message: Message) -> Result<(), DisconnectReason> {
        failpoint::reach("connection.stream");
        self.buffers.on_message(message.len());
        match message {
            Message::Text(text) => self.take_text(text),
            // Gateways read binary frames as text (2026.3.13, 2026.9.6), so this does too.
            Message::Binary(bytes) => {
                if let Ok(text) = Utf8Bytes::try_from(bytes) {
                    self.take_text(text);
                } else {
                    tracing::warn!(gateway = %self.line.id, "a binary frame that is no text was ignored");
                    mark_unreadable(&self.line);
                }
            }
            Message::Close(frame) => return Err(DisconnectReason::Closed(close_reason(frame))),
            // The WebSocket answers a ping by itself, when it is flushed.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => self.unflushed = true,
        }
        Ok(())
    }

    fn take_text(&mut self, text: Utf8Bytes) {
        let Ok(text) = ByteString::try_from(Bytes::from(text)) else {
            return;
        };
        // Never the text itself: it carries whatever the gateway and its agents say.
        tracing::trace!(gateway = %self.line.id, bytes = text.len(), "frame in");
        match self.session.receive(&text) {
            Received::Answer { id, outcome } => {
                // Who hears the answer is to find in its queue what came before it.
                self.flush_events();
                let answered = self.line.pending.lock().calls.answer(id, outcome, &text);
                if answered == AnswerEffect::Stray {
                    tracing::debug!(gateway = %self.line.id, id = id.number(), "an answer that no call waits for");
                }
            }
            Received::Event { event, gap } => {
                dispatch_event(&self.line, &self.session, &event, gap, &text);
                self.has_events = true;
            }
            Received::Ignored(why) => report_ignored(&self.line, &why),
        }
    }

    fn flush_events(&mut self) {
        if std::mem::take(&mut self.has_events) {
            self.line.router.flush();
        }
    }

    /// Puts the questions about declared topics that are due among the calls. Nothing new is asked while draining.
    fn request_topics(&mut self, now: Instant) -> bool {
        let topics = &self.line.topics;
        let due = topics.is_due() || self.topics_at.is_some_and(|at| at <= now);
        if !due || self.draining.is_some() {
            return false;
        }
        let slot = |ask| CallReply::Topic(Arc::clone(topics), ask);
        let (calls, again) = topics.next_calls(now, &mut self.line.reconnect.borrow_mut().rng, slot);
        self.topics_at = again;
        let mut pending = self.line.pending.lock();
        for call in calls {
            pending.calls.admit(Box::new(call), now);
        }
        true
    }

    /// Writes all that waits, as far as the socket takes it, and flushes once.
    ///
    /// While a flush is under way nothing more is written: that bounds the WebSocket's buffer by one turn's frames.
    fn write(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), DisconnectReason> {
        loop {
            self.line.pending.lock().poll_inbox(cx, now);
            if self.unflushed && self.poll_flush(cx)?.is_pending() {
                return Ok(());
            }
            if !self.write_waiting(cx, now)? {
                return Ok(());
            }
        }
    }

    /// Whether anything was written.
    fn write_waiting(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<bool, DisconnectReason> {
        let wire = self.session.wire();
        let mut frames = self.line.shard.frames.borrow_mut();
        let mut wrote = false;
        while let Poll::Ready(ready) = self.socket.poll_ready(cx) {
            ready.map_err(broken)?;
            // Not held while the socket, which may be a host's, is written.
            if !self.line.pending.lock().calls.next_frame(now, &wire, frames.text()) {
                break;
            }
            self.socket.start_send(cx, frames.frame()).map_err(broken)?;
            wrote = true;
        }
        self.unflushed |= wrote;
        Ok(wrote)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, DisconnectReason> {
        match self.socket.poll_flush(cx) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Err(error)) => Err(broken(error)),
            Poll::Ready(Ok(())) => {
                self.unflushed = false;
                Ok(Poll::Ready(()))
            }
        }
    }

    fn check_time(&mut self, cx: &mut Context<'_>) -> Result<(), DisconnectReason> {
        loop {
            let now = self.line.shard.clock.now();
            if self.time_counts(now) {
                self.enforce_time(cx, now)?;
            }
            if self.request_topics(now) {
                // To be written in a turn of its own.
                cx.waker().wake_by_ref();
            }
            if self.poll_timer(cx, now).is_pending() {
                return Ok(());
            }
        }
    }

    /// Whether the time that has passed counts. After a late timer it does once the socket was looked into again, be that late
    /// too: the system reports incoming bytes before it reports that the time is over.
    fn time_counts(&mut self, now: Instant) -> bool {
        match self.second_look {
            Some(at) if now < at => return false,
            Some(_) => self.second_look = None,
            None if is_late(self.timer_at, now) => {
                self.session.watchdog.overslept(now);
                self.second_look = Some(after(now, SECOND_LOOK));
                return false;
            }
            None => {}
        }
        true
    }

    /// The consequences of the time that has passed.
    fn enforce_time(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), DisconnectReason> {
        match self.session.watchdog.check(now) {
            Vigil::Alive => {}
            Vigil::Probe => self.probe(cx)?,
            Vigil::Dead => return Err(DisconnectReason::Silent(self.session.watchdog.silence(now))),
        }
        if let Some(waited) = self.writes.verdict(now) {
            return Err(DisconnectReason::NotReading(waited));
        }
        let mut pending = self.line.pending.lock();
        if pending.calls.next_deadline().is_some_and(|deadline| deadline <= now) {
            pending.expire(now);
        }
        drop(pending);
        // Last: what has just expired may have been all that the drain waited for.
        self.end_of_drain(now)
    }

    fn end_of_drain(&self, now: Instant) -> Result<(), DisconnectReason> {
        match self.draining {
            Some(until) if now >= until || self.line.pending.lock().calls.is_empty() => Err(DisconnectReason::Stopped),
            _ => Ok(()),
        }
    }

    /// Those in flight, and those that wait.
    fn count_calls(&self) -> (usize, usize) {
        let calls = &self.line.pending.lock().calls;
        (calls.in_flight(), calls.waiting())
    }

    /// Asks a quiet gateway for a sign of life. A socket that takes nothing is not asked: it is about to be given up.
    fn probe(&mut self, cx: &mut Context<'_>) -> Result<(), DisconnectReason> {
        if let Poll::Ready(ready) = self.socket.poll_ready(cx) {
            ready.map_err(broken)?;
            self.socket
                .start_send(cx, Message::Ping(Bytes::new()))
                .map_err(broken)?;
            self.unflushed = true;
            let _ = self.poll_flush(cx)?;
        }
        Ok(())
    }

    /// Ready when the timer was due and has been set anew: then the clock is to be looked at once more.
    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        let next = self.next_time().unwrap_or(now);
        // A timer that comes early costs one idle turn; setting it at each turn costs more.
        if next < self.timer_at || self.timer.is_elapsed() {
            self.timer_at = next;
            self.timer.as_mut().reset(next.into());
        }
        ready!(self.timer.as_mut().poll(cx));
        if self.line.pending.lock().calls.is_empty() {
            self.buffers.on_idle();
        }
        if next > now {
            self.poll_rearmed(cx, next)
        } else {
            Poll::Ready(())
        }
    }

    /// When there is something to do without anything happening before.
    fn next_time(&self) -> Option<Instant> {
        let counted = [
            Some(self.session.watchdog.next_check()),
            self.writes.next_check(),
            self.line.pending.lock().calls.next_deadline(),
            self.draining,
        ];
        let counted = counted.into_iter().flatten().min();
        let again = self.topics_at.filter(|_| self.draining.is_none());
        self.second_look.or(counted).into_iter().chain(again).min()
    }

    /// The timer came early: sets it to when there is something to do.
    fn poll_rearmed(&mut self, cx: &mut Context<'_>, next: Instant) -> Poll<()> {
        self.timer_at = next;
        self.timer.as_mut().reset(next.into());
        self.timer.as_mut().poll(cx)
    }

    /// Ends the connection for the caller's eyes, and says goodbye where that was our wish.
    async fn finish(mut self, exit: DisconnectReason) -> DisconnectReason {
        if self.session.announced_end() {
            self.line.reconnect.borrow_mut().expect_restart();
        }
        if matches!(exit, DisconnectReason::Stopped) {
            let frame = CloseFrame {
                code: CloseCode::Normal,
                reason: "".into(),
            };
            let goodbye: Result<Result<(), Error>, _> = timeout(CLOSE_GRACE, self.socket.close(Some(frame))).await;
            if !matches!(goodbye, Ok(Ok(()))) {
                tracing::debug!(gateway = %self.line.id, "the socket was dropped without a closing handshake");
            }
        }
        exit
    }
}

enum TurnEnd {
    /// More may be there to read.
    Again,
    /// Everything was read.
    Wait,
}

/// An event came: its subscribers get it at the end of the turn, or before any caller gets an answer.
fn dispatch_event(line: &LineContext, session: &Session, event: &EventFrame<'_>, gap: Option<Gap>, text: &ByteString) {
    line.router.meter().event();
    if let Some(gap) = gap {
        line.router.meter().gap(gap.received.saturating_sub(gap.expected));
        tracing::warn!(gateway = %line.id, expected = gap.expected, received = gap.received, "events are missing or out of order");
        line.router.mark(&Marker::Gap(gap));
        line.topics.on_gap();
    }
    let incoming = Incoming::new(&event.name, event.payload.as_str());
    line.topics.observe(&incoming);
    line.router.enqueue(&incoming, || Event {
        name: line.shard.names.get(&event.name),
        payload: event.payload.to_kept_in(text),
        seq: event.seq,
        generation: session.generation(),
    });
}

fn report_ignored(line: &LineContext, why: &IgnoredFrame) {
    if let IgnoredFrame::ForeignId(Some(error)) = why {
        tracing::warn!(gateway = %line.id, %error, "a frame was ignored: {why}");
    } else {
        tracing::warn!(gateway = %line.id, "a frame was ignored: {why}");
    }
    if why.may_hide_an_event() {
        mark_unreadable(line);
    }
}

/// Tells subscribers that they may have missed something here.
fn mark_unreadable(line: &LineContext) {
    line.router.mark(&Marker::Unreadable);
    line.topics.on_gap();
}
