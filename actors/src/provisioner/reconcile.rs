//! Agents that were woken and did not check in.
//!
//! Deadlines are in the store, so they outlive the process; this only waits for the next one.

use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;
use windlass_store::{Agent, NewActivity, RunKind, StoreError};

use super::context::{Context, sleep};
use super::fleet::Ticket;
use super::job;
use super::lifecycle::{self, Reconcile, Transition};
use super::progress::Teller;
use super::request::{RunOptions, Wake};
use crate::failpoint;
use crate::supervision::Tasks;

/// Agents looked at in one go: what a page of the store has.
const BATCH: usize = 100;

/// How long a wake that is under way may take before its agent is looked at again: the whole budget of a run.
const IN_HAND: Duration = Duration::from_secs(11 * 60);

/// How long to wait when the store fails.
const STORE_REST: Duration = Duration::from_secs(10);

/// Runs for as long as the provisioner. What it wakes goes on in `wakes`.
pub(crate) async fn run(ctx: Rc<Context>, wakes: Tasks) {
    let mut moved = ctx.deadlines.subscribe();
    loop {
        moved.mark_unchanged();
        failpoint::reach("reconciler");
        let wait = match round(&ctx, &wakes).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!("deadlines can't be read: {error}");
                Some(STORE_REST)
            }
        };
        if wait_for(wait, &mut moved).await.is_err() {
            return;
        }
    }
}

/// Sleeps so long, or for ever, or until a deadline moved.
async fn wait_for(wait: Option<Duration>, moved: &mut watch::Receiver<u64>) -> Result<(), watch::error::RecvError> {
    let slept = async {
        match wait {
            Some(wait) => sleep(wait).await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        () = slept => Ok(()),
        moved = moved.changed() => moved,
    }
}

/// Deals with all deadlines that are over, and tells how long the next one is away.
async fn round(ctx: &Rc<Context>, wakes: &Tasks) -> Result<Option<Duration>, StoreError> {
    loop {
        let due = ctx.store.due(ctx.now(), BATCH).await?;
        if due.is_empty() {
            let next = ctx.store.next_deadline().await?;
            return Ok(next.map(|(_, at)| at.saturating_duration_since(ctx.now())));
        }
        let mut to_wake = Vec::new();
        for agent in due {
            if settle(ctx, &agent).await? == Reconcile::WakeAgain {
                to_wake.push(agent);
            }
        }
        if !to_wake.is_empty() {
            // One that panics leaves its agents to their deadlines, which are `IN_HAND` away.
            wakes.spawn(wake(Rc::clone(ctx), to_wake));
        }
    }
}

/// Moves or clears the deadline, so that it is not met again at once.
async fn settle(ctx: &Context, agent: &Agent) -> Result<Reconcile, StoreError> {
    let now = ctx.now();
    let verdict = lifecycle::reconcile(agent, now);
    match verdict {
        Reconcile::Skip => {
            let clear = |agent: &mut Agent| {
                if lifecycle::reconcile(agent, now) == Reconcile::Skip {
                    agent.checkin_deadline_at = None;
                }
            };
            ctx.change(agent.id, clear).await?;
        }
        Reconcile::GiveUp => {
            let given_up = ctx.transition(agent.id, Transition::GiveUp).await?;
            if let Some(agent) = given_up {
                note(ctx, &agent).await;
            }
        }
        Reconcile::WakeAgain => {
            ctx.change(agent.id, |agent| agent.checkin_deadline_at = Some(now + IN_HAND))
                .await?;
        }
    }
    Ok(verdict)
}

async fn note(ctx: &Context, agent: &Agent) {
    let error = agent.last_provision_error.clone().unwrap_or_default();
    tracing::warn!(agent = %agent.id, name = agent.name, "offline: {error}");
    let activity = NewActivity {
        kind: "agent.offline".into(),
        message: error,
        agent_id: Some(agent.id),
        board_id: agent.board_id,
        at: ctx.now(),
    };
    if let Err(error) = ctx.store.record(&activity).await {
        tracing::warn!(agent = %agent.id, "an activity could not be recorded: {error}");
    }
}

/// Updates them, with a fresh session, and wakes them.
async fn wake(ctx: Rc<Context>, agents: Vec<Agent>) {
    failpoint::reach("reconciler.wake");
    let options = RunOptions {
        // Writing takes its time on a busy gateway, and so does an agent's first answer.
        wake: Wake::UnlessSeen,
        reset_session: true,
        ..RunOptions::default()
    };
    let tickets = agents.into_iter().map(|agent| Ticket::New {
        agent: agent.id,
        kind: Some(RunKind::Update),
        options,
        delete_files: false,
    });
    let report = job::work(ctx, tickets.collect(), Teller::nobody()).await;
    for agent in report.failed() {
        let failure = agent.failure.as_ref().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(agent = %agent.agent, name = agent.name, "could not be woken again: {failure}");
    }
}
