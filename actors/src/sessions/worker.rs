//! The session manager's actor: a task for each message.

use std::rc::Rc;

use actix::{Actor, Addr, AsyncContext as _, Context as ActorContext, Handler};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet, spawn_local};

use super::follow::follow;
use super::lanes::Lanes;
use super::message::{Following, Message};

/// A message to send, with the place for what follows it.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) message: Box<Message>,
    pub(super) answer: oneshot::Sender<Following>,
}

impl actix::Message for Order {
    type Result = ();
}

struct Worker {
    lanes: Rc<Lanes>,
    rng: StdRng,
    tasks: JoinSet<()>,
}

impl Actor for Worker {
    type Context = ActorContext<Self>;
}

impl Handler<Order> for Worker {
    type Result = ();

    fn handle(&mut self, order: Order, _: &mut Self::Context) {
        while self.tasks.try_join_next().is_some() {}
        let Order { message, answer } = order;
        let fresh = || {
            let random = self.rng.random();
            uuid::Builder::from_random_bytes(random).into_uuid().to_string()
        };
        let key = message.key.clone().unwrap_or_else(fresh);
        let (following, follower) = Following::new(key.clone());
        // Whoever asked may be gone: the message was asked for all the same.
        let _ = answer.send(following);
        let lanes = Rc::clone(&self.lanes);
        self.tasks.spawn_local(async move {
            let _turn = lanes.turn(message.line.id(), &message.session).await;
            follow(&message, &key, follower).await;
        });
    }
}

/// Passes orders on, and puts another actor in the place of one that ended.
pub(super) async fn run(mut rng: StdRng, mut orders: mpsc::Receiver<Order>) {
    let lanes = Rc::new(Lanes::default());
    let (mut worker, mut task) = start(&lanes, rng.random());
    while let Some(order) = orders.recv().await {
        if task.is_finished() {
            tracing::error!("the session manager's actor ended; another takes its place");
            (worker, task) = start(&lanes, rng.random());
        }
        if worker.send(order).await.is_err() {
            tracing::error!("the session manager's actor ended with a message in hand");
        }
    }
    drop(worker);
    task.abort();
}

fn start(lanes: &Rc<Lanes>, seed: [u8; 32]) -> (Addr<Worker>, JoinHandle<()>) {
    let context = ActorContext::new();
    let address = context.address();
    let worker = Worker {
        lanes: Rc::clone(lanes),
        rng: StdRng::from_seed(seed),
        tasks: JoinSet::new(),
    };
    (address, spawn_local(context.into_future(worker)))
}
