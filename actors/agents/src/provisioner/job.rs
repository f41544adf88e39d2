//! The jobs of the provisioner, each handed to the part that does it.

use std::rc::Rc;

use windlass_store::{AgentUid, RunKind};

use super::context::Context;
use super::fleet::WorkItem;
use super::forget;
use super::gateways::work;
use super::progress::ProgressSender;
use super::report::{AgentReport, FleetReport};
use super::request::{Job, RunOptions};
use super::sync;

/// Does a job.
pub(crate) async fn run(ctx: Rc<Context>, job: Job, progress: ProgressSender) -> FleetReport {
    match job {
        Job::Provision { agents, options } => {
            let items = agents.into_iter().map(|agent| item(agent, None, options, false));
            work(ctx, items.collect(), progress).await
        }
        Job::Delete { agents, delete_files } => {
            let options = RunOptions::quiet();
            let order = agents.clone();
            let (unborn, agents) = never_begun(&ctx, agents).await;
            let forgotten = forget::each(&ctx, unborn, &progress).await;
            let items = agents
                .into_iter()
                .map(|agent| item(agent, Some(RunKind::Delete), options, delete_files));
            let mut report = work(ctx, items.collect(), progress).await;
            report.agents.extend(forgotten);
            let place = |report: &AgentReport| order.iter().position(|agent| *agent == report.agent);
            report.agents.sort_by_key(place);
            report
        }
        Job::Forget { agents } => forget::agents(ctx, agents, &progress).await,
        Job::ForgetGateway { gateway } => forget::gateway(ctx, gateway, &progress).await,
        Job::Sync { gateway, options } => sync::run(ctx, gateway, options, progress).await,
    }
}

/// Takes out the agents that no run was ever begun for: their gateways have nothing of them.
async fn never_begun(ctx: &Context, agents: Vec<AgentUid>) -> (Vec<AgentUid>, Vec<AgentUid>) {
    let (mut unborn, mut others) = (Vec::new(), Vec::new());
    for id in agents {
        let agent = ctx.store.agent(id).await.ok().flatten();
        if agent.is_some_and(|agent| agent.lifecycle_generation == 0) {
            unborn.push(id);
        } else {
            others.push(id);
        }
    }
    (unborn, others)
}

fn item(agent: AgentUid, kind: Option<RunKind>, options: RunOptions, delete_files: bool) -> WorkItem {
    WorkItem::New {
        agent,
        kind,
        options,
        delete_files,
    }
}
