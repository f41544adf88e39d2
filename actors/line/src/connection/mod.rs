//! The connection to one gateway, as an actor: one incarnation, one socket, one generation.
//!
//! The actor is a shell. Its one spawned future opens the socket, shakes hands and then drives the socket until it
//! breaks; the actor's handlers only pass orders to it. When the future ends, for whatever reason, the actor stops, and
//! the line's supervisor learns how from [`Exit`] or from the panic.

mod buffers;
mod driver;
mod establish;
mod exit;
mod incoming;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, WrapFuture as _};
use futures_channel::mpsc;
use futures_util::StreamExt as _;

use crate::failpoint;
use crate::line::hold;
use crate::supervision::LineContext;
use crate::turns::handling;
pub(crate) use exit::Exit;

/// What a supervisor may ask of a connection.
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

/// Orders that may wait for the driver: a drain and the close that cuts it short, twice over.
const ORDERS: usize = 4;

/// Where an actor leaves its end for the supervisor.
pub(crate) type ExitSlot = Rc<RefCell<Option<Exit>>>;

/// The actor.
pub(crate) struct GatewayConnection {
    line: Rc<LineContext>,
    orders: (mpsc::Sender<Order>, Option<mpsc::Receiver<Order>>),
    exit: ExitSlot,
}

impl GatewayConnection {
    pub(crate) fn new(line: Rc<LineContext>, exit: ExitSlot) -> Self {
        let (sender, receiver) = mpsc::channel(ORDERS);
        Self {
            line,
            orders: (sender, Some(receiver)),
            exit,
        }
    }
}

impl Actor for GatewayConnection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        failpoint::reach("connection.started");
        let Some(orders) = self.orders.1.take() else { return };
        let life = live(Rc::clone(&self.line), orders).into_actor(self);
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
        // Full means that an order to close is under way already.
        let _ = self.orders.0.try_send(order);
    }
}

/// One incarnation from the first packet to the last.
async fn live(line: Rc<LineContext>, mut orders: mpsc::Receiver<Order>) -> Exit {
    // In a box, so that what it takes to get there (4 kB) is given back once the line is up.
    let attempt = Box::pin(async {
        tokio::select! {
            biased;
            // Before hello-ok nothing is under way on this socket: there is nothing to drain.
            _ = orders.next() => Err(Exit::Stopped),
            established = establish::establish(&line) => established,
        }
    });
    match hold(&line.desk, &*line.machine.clock, attempt).await {
        Ok(established) => driver::drive(line, established, orders).await,
        Err(exit) => exit,
    }
}
