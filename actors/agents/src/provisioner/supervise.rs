//! What keeps the provisioner running, and what it looks after by itself.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::mpsc;
use windlass_store::StoreError;

use super::activity::Whose;
use super::context::{Context, ProvisionerParts, sleep};
use super::messages::Order;
use super::progress::Teller;
use super::worker::Worker;
use super::{activity, housekeeping, job, reconcile};
use windlass_line::failpoint;
use windlass_line::supervision::{Tasks, keep_running, serve};

/// Runs taken up in one go: a page of the store.
const RUNS: usize = 100;

/// How long to wait when the store fails at the start.
const STORE_REST: Duration = Duration::from_secs(10);

/// `owned`: this process has the right to run the store's agents.
pub(super) async fn run(parts: ProvisionerParts, orders: mpsc::Receiver<Order>, owned: bool) {
    let rng = StdRng::from_seed(parts.seed);
    let ctx = Rc::new(Context::new(parts, rng));
    let tasks = Tasks::of("provisioning");
    let worker = || Worker::new(Rc::clone(&ctx), tasks.clone());
    let orders = serve("provisioner", || ctx.clock.now(), orders, worker);
    if ctx.settings.supervise {
        // What is looked after ends with the orders: there is nobody left to look after it for.
        tokio::select! {
            biased;
            () = orders => {}
            () = look_after(&ctx) => {}
        }
    } else if owned {
        // An answer that comes while a job goes on is seen, too; what comes later is left to the process that supervises.
        tokio::select! {
            biased;
            () = orders => {}
            () = keep_running("activity", || ctx.clock.now(), || activity::watch_all(Rc::clone(&ctx), Whose::Met)) => {}
        }
    } else {
        orders.await;
    }
}

/// What the one process that runs the agents does without being asked: each part is started again by itself.
async fn look_after(ctx: &Rc<Context>) {
    let now = || ctx.clock.now();
    let watched = keep_running("activity", now, || activity::watch_all(Rc::clone(ctx), Whose::All));
    let cleaned = keep_running("housekeeping", now, || housekeeping::run(Rc::clone(ctx)));
    let wakes = Tasks::of("wake");
    let kept = async {
        keep_running("reconciler", now, || take_up_all(ctx)).await;
        keep_running("reconciler", now, || reconcile::begin_to_watch(ctx)).await;
        keep_running("reconciler", now, || reconcile::run(Rc::clone(ctx), wakes.clone())).await;
    };
    // From the start: an agent may answer its wake before the last run is taken up.
    tokio::join!(watched, kept, cleaned);
}

async fn take_up_all(ctx: &Rc<Context>) {
    while let Err(error) = take_up(ctx).await {
        tracing::error!("runs that were cut off can't be read: {error}");
        sleep(STORE_REST).await;
    }
}

/// Goes on with all runs that were cut off, each once: one whose gateway can't be worked with stays for the next start.
async fn take_up(ctx: &Rc<Context>) -> Result<(), StoreError> {
    failpoint::reach("reconciler.take_up");
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
