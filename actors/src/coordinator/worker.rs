//! The coordinator's actor: a task for each operation.

use std::rc::Rc;

use actix::{Actor, Addr, AsyncContext as _, Context as ActorContext, Handler, Message};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet, spawn_local};
use windlass_store::BoardId;

use super::desk::Desk;
use super::error::CoordinationError;
use super::operation::{AskUser, BroadcastReport, LeadMessage, Nudge, Onboarding, Said, Soul};

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
    tasks: JoinSet<()>,
}

impl Actor for Worker {
    type Context = ActorContext<Self>;
}

impl Handler<Order> for Worker {
    type Result = ();

    fn handle(&mut self, order: Order, _: &mut Self::Context) {
        while self.tasks.try_join_next().is_some() {}
        let desk = Rc::clone(&self.desk);
        // Whoever asked may be gone when the answer comes.
        self.tasks.spawn_local(async move {
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

/// Passes orders on, and puts another actor in the place of one that ended.
pub(super) async fn run(desk: Rc<Desk>, mut orders: mpsc::Receiver<Order>) {
    let (mut worker, mut task) = start(&desk);
    while let Some(order) = orders.recv().await {
        if task.is_finished() {
            tracing::error!("the coordinator's actor ended; another takes its place");
            (worker, task) = start(&desk);
        }
        if worker.send(order).await.is_err() {
            tracing::error!("the coordinator's actor ended with an order in hand");
        }
    }
    drop(worker);
    task.abort();
}

fn start(desk: &Rc<Desk>) -> (Addr<Worker>, JoinHandle<()>) {
    let context = ActorContext::new();
    let address = context.address();
    let worker = Worker {
        desk: Rc::clone(desk),
        tasks: JoinSet::new(),
    };
    (address, spawn_local(context.into_future(worker)))
}
