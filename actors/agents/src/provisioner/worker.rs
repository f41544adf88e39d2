//! The actor that does the work: a task for each operation.

use std::rc::Rc;

use actix::{Actor, Context as ActorContext, Handler};

use super::context::Context;
use super::messages::Order;
use super::{ensure, job, preview};
use windlass_line::failpoint;
use windlass_line::supervision::Tasks;
use windlass_line::turns::handling;

pub(super) struct Worker {
    ctx: Rc<Context>,
    tasks: Tasks,
}

impl Worker {
    pub(super) const fn new(ctx: Rc<Context>, tasks: Tasks) -> Self {
        Self { ctx, tasks }
    }
}

impl Actor for Worker {
    type Context = ActorContext<Self>;
}

impl Handler<Order> for Worker {
    type Result = ();

    fn handle(&mut self, order: Order, _: &mut Self::Context) {
        let _handling = handling("provisioner::Order");
        failpoint::reach("provisioner.handler");
        let ctx = Rc::clone(&self.ctx);
        match order {
            Order::Work(job, teller, reporter) => {
                self.tasks.spawn(async move {
                    failpoint::reach("provisioner.operation");
                    // Nobody may wait for it any more.
                    let _ = reporter.send(job::run(ctx, job, teller).await);
                });
            }
            Order::Ensure(wanted, options, teller, reporter) => {
                self.tasks.spawn(async move {
                    let _ = reporter.send(ensure::run(ctx, wanted, options, teller).await);
                });
            }
            Order::Plan(agent, options, reporter) => {
                self.tasks.spawn(async move {
                    let _ = reporter.send(preview::plan(ctx, agent, options).await);
                });
            }
            Order::DeadlineMoved => ctx.deadline_moved(),
        }
    }
}
