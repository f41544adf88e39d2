//! The connection to one gateway, as an actor: one incarnation, one socket, one generation.
//!
//! The actor is a shell. Its one spawned future opens the socket, shakes hands and then drives the socket until it
//! breaks; the actor's handlers only pass orders to it. When the future ends, for any reason, the actor stops, and
//! the line's supervisor learns how from [`DisconnectReason`] or from the panic.

mod driver;
mod establish;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{self, Poll, Waker};
use std::time::Instant;

use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, WrapFuture as _};

use crate::failpoint;
use crate::line::DisconnectReason;
use crate::line::{LineContext, drive_calls_until};
use crate::stall_detector::handling;

/// The orders of a supervisor to a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// Take no more calls, wait for those under way until then, and close.
    Drain(Instant),
    /// Close now.
    Close,
}

impl Message for Order {
    type Result = ();
}

/// The order that the driver has not taken yet, shared by the actor and the future that it spawns. This is a state and not a queue: a
/// later order replaces the one before, and `Close` is final.
#[derive(Default)]
struct OrderSlot {
    order: Cell<Option<Order>>,
    waker: Cell<Option<Waker>>,
}

impl OrderSlot {
    fn put(&self, order: Order) {
        if !matches!(self.order.get(), Some(Order::Close)) {
            self.order.set(Some(order));
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn poll_take(&self, cx: &mut task::Context<'_>) -> Poll<Order> {
        if let Some(order) = self.order.take() {
            return Poll::Ready(order);
        }
        // The waker of a task is compared before it is copied: this is part of each turn.
        let waker = self.waker.take().filter(|waker| waker.will_wake(cx.waker()));
        self.waker.set(Some(waker.unwrap_or_else(|| cx.waker().clone())));
        Poll::Pending
    }
}

/// Where an actor leaves its end for the supervisor.
pub(crate) type ReasonSlot = Rc<RefCell<Option<DisconnectReason>>>;

/// The actor.
pub(crate) struct GatewayConnection {
    line: Rc<LineContext>,
    orders: Rc<OrderSlot>,
    exit: ReasonSlot,
}

impl GatewayConnection {
    pub(crate) fn new(line: Rc<LineContext>, exit: ReasonSlot) -> Self {
        Self {
            line,
            orders: Rc::default(),
            exit,
        }
    }
}

impl Actor for GatewayConnection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        failpoint::reach("connection.started");
        let life = live(Rc::clone(&self.line), Rc::clone(&self.orders)).into_actor(self);
        ctx.spawn(life.map(|exit, actor, ctx| {
            actor.exit.replace(Some(exit));
            actix::ActorContext::stop(ctx);
        }));
    }
}

impl Handler<Order> for GatewayConnection {
    type Result = ();

    fn handle(&mut self, order: Order, _ctx: &mut Self::Context) {
        let _handling = handling("connection::Order");
        failpoint::reach("connection.handler");
        self.orders.put(order);
    }
}

/// One incarnation from the first packet to the last.
async fn live(line: Rc<LineContext>, orders: Rc<OrderSlot>) -> DisconnectReason {
    // In a box, so that what it takes to get there (4 kB) is given back once the line is up.
    let attempt = Box::pin(async {
        tokio::select! {
            biased;
            // Before hello-ok nothing is under way on this socket: there is nothing to drain.
            _ = poll_fn(|cx| orders.poll_take(cx)) => Err(DisconnectReason::Stopped),
            established = establish::establish(&line) => established,
        }
    });
    match drive_calls_until(&line.pending, &*line.shard.clock, attempt).await {
        Ok(established) => driver::drive(line, established, orders).await,
        Err(exit) => exit,
    }
}
