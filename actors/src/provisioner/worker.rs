//! The actor that does the work: a task for each operation.

use std::rc::Rc;

use actix::{Actor, Context as ActorContext, Handler};
use tokio::task::JoinSet;

use super::context::Context;
use super::messages::Order;
use super::{ensure, job, preview};

pub(super) struct Worker {
    ctx: Rc<Context>,
    /// Aborted when the actor goes: what was begun is on record.
    tasks: JoinSet<()>,
}

impl Worker {
    pub(super) fn new(ctx: Rc<Context>) -> Self {
        Self {
            ctx,
            tasks: JoinSet::new(),
        }
    }

    /// Forgets tasks that ended. One that panicked was told so by its dropped reporter; the others go on.
    fn reap(&mut self) {
        while let Some(end) = self.tasks.try_join_next() {
            if let Err(error) = end
                && error.is_panic()
            {
                tracing::error!(
                    "an operation panicked; what it had begun is taken up again at the next start: {error}"
                );
            }
        }
    }
}

impl Actor for Worker {
    type Context = ActorContext<Self>;
}

impl Handler<Order> for Worker {
    type Result = ();

    fn handle(&mut self, order: Order, _: &mut Self::Context) {
        self.reap();
        let ctx = Rc::clone(&self.ctx);
        match order {
            Order::Work(job, teller, reporter) => {
                self.tasks.spawn_local(async move {
                    // Nobody may wait for it any more.
                    let _ = reporter.send(job::run(ctx, job, teller).await);
                });
            }
            Order::Ensure(wanted, options, teller, reporter) => {
                self.tasks.spawn_local(async move {
                    let _ = reporter.send(ensure::run(ctx, wanted, options, teller).await);
                });
            }
            Order::Plan(agent, options, reporter) => {
                self.tasks.spawn_local(async move {
                    let _ = reporter.send(preview::plan(ctx, agent, options).await);
                });
            }
            Order::DeadlineMoved => ctx.deadline_moved(),
        }
    }
}
