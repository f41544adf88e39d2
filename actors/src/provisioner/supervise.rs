//! What keeps the provisioner running, and what it looks after by itself.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use actix::{Addr, AsyncContext as _, Context as ActorContext};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet, spawn_local};
use windlass_store::StoreError;

use super::context::{Context, ProvisionerParts, sleep};
use super::messages::Order;
use super::progress::Teller;
use super::worker::Worker;
use super::{activity, housekeeping, job, reconcile};

/// Runs taken up in one go: a page of the store.
const RUNS: usize = 100;

/// How long to wait when the store fails at the start.
const STORE_REST: Duration = Duration::from_secs(10);

pub(super) async fn run(parts: ProvisionerParts, mut orders: mpsc::Receiver<Order>) {
    let rng = StdRng::from_seed(parts.seed);
    let ctx = Rc::new(Context::new(parts, rng));
    // Dropped, and so ended, together with this.
    let mut background = JoinSet::new();
    if ctx.settings.supervise {
        background.spawn_local(look_after(Rc::clone(&ctx)));
    }
    let (mut worker, mut task) = start(&ctx);
    while let Some(order) = orders.recv().await {
        if task.is_finished() {
            tracing::error!("the provisioner's actor ended; another takes its place");
            (worker, task) = start(&ctx);
        }
        // The mailbox is as long as the channel before it, and the actor only starts tasks.
        if worker.send(order).await.is_err() {
            tracing::error!("the provisioner's actor ended with an order in hand");
        }
    }
    drop(worker);
    task.abort();
}

fn start(ctx: &Rc<Context>) -> (Addr<Worker>, JoinHandle<()>) {
    let context = ActorContext::new();
    let address = context.address();
    (address, spawn_local(context.into_future(Worker::new(Rc::clone(ctx)))))
}

/// What the one process that runs the agents does without being asked.
async fn look_after(ctx: Rc<Context>) {
    let watched = activity::watch_all(Rc::clone(&ctx));
    let cleaned = housekeeping::run(Rc::clone(&ctx));
    let kept = async {
        while let Err(error) = take_up(&ctx).await {
            tracing::error!("runs that were cut off can't be read: {error}");
            sleep(STORE_REST).await;
        }
        reconcile::run(Rc::clone(&ctx)).await;
    };
    // From the start: an agent may answer its wake before the last run is taken up.
    tokio::join!(watched, kept, cleaned);
}

/// Goes on with all runs that were cut off, each once: one whose gateway can't be worked with stays for the next start.
async fn take_up(ctx: &Rc<Context>) -> Result<(), StoreError> {
    let mut met = BTreeSet::new();
    loop {
        let mut runs = ctx.store.active_runs(RUNS).await?;
        runs.retain(|run| met.insert(run.id));
        if runs.is_empty() {
            return Ok(());
        }
        let report = job::resume(Rc::clone(ctx), runs, Teller::nobody()).await;
        for agent in report.failed() {
            let failure = agent.failure.as_ref().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(agent = %agent.agent, name = agent.name, "a run that was cut off failed: {failure}");
        }
    }
}
