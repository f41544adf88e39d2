//! The coordinator's actor: a task for each operation.

use std::rc::Rc;

use actix::{Actor, Context as ActorContext, Handler, Message};
use tokio::sync::{mpsc, oneshot};
use windlass_store::BoardId;

use super::desk::Desk;
use super::error::CoordinationError;
use super::operation::{AskUser, BroadcastReport, LeadMessage, Nudge, Onboarding, Said, Soul};
use windlass_line::failpoint;
use windlass_line::supervision::{Tasks, serve};
use windlass_line::turns::handling;

pub(super) type Answer<T> = oneshot::Sender<Result<T, CoordinationError>>;

/// What the actor is told, with the place for its answer.
#[derive(Debug)]
pub(super) enum Order {
    Nudge(Nudge, Answer<Said>),
    ReadSoul(Soul, Answer<String>),
    WriteSoul(Soul, String, Answer<()>),
    AskUser(AskUser, Answer<Said>),
    Onboard(Onboarding, Answer<Said>),
    MessageLead(LeadMessage, BoardId, Answer<Said>),
    Broadcast(LeadMessage, Option<Vec<BoardId>>, Answer<BroadcastReport>),
}

impl Message for Order {
    type Result = ();
}

struct Worker {
    desk: Rc<Desk>,
    tasks: Tasks,
}

impl Actor for Worker {
    type Context = ActorContext<Self>;
}

impl Handler<Order> for Worker {
    type Result = ();

    fn handle(&mut self, order: Order, _: &mut Self::Context) {
        let _handling = handling("coordinator::Order");
        failpoint::reach("coordinator.handler");
        let desk = Rc::clone(&self.desk);
        // Whoever asked may be gone when the answer comes.
        self.tasks.spawn(async move {
            failpoint::reach("coordinator.operation");
            match order {
                Order::Nudge(nudge, answer) => drop(answer.send(desk.nudge(nudge).await)),
                Order::ReadSoul(soul, answer) => drop(answer.send(desk.read_soul(soul).await)),
                Order::WriteSoul(soul, content, answer) => drop(answer.send(desk.write_soul(soul, content).await)),
                Order::AskUser(ask, answer) => drop(answer.send(desk.ask_user(ask).await)),
                Order::Onboard(onboarding, answer) => drop(answer.send(desk.onboard(onboarding).await)),
                Order::MessageLead(message, board, answer) => {
                    drop(answer.send(desk.message_lead(message, board).await));
                }
                Order::Broadcast(message, boards, answer) => {
                    drop(answer.send(desk.broadcast(message, boards).await));
                }
            }
        });
    }
}

/// Takes orders until nobody gives any more.
pub(super) async fn run(desk: Rc<Desk>, orders: mpsc::Receiver<Order>) {
    let tasks = Tasks::of("coordination");
    let worker = || {
        let (desk, tasks) = (Rc::clone(&desk), tasks.clone());
        Worker { desk, tasks }
    };
    serve("coordinator", || desk.clock.now(), orders, worker).await;
}
