//! Agents that were woken and did not check in.
//!
//! Deadlines are in the store, so they outlive the process; this only waits for the next one.

use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::watch;
use windlass_store::{Agent, AgentFilter, AgentStatus, CheckIn, NewActivity, RunKind, StepName, StoreError};

use super::context::{AGENTS_AT_A_TIME, Context, sleep};
use super::fleet::WorkItem;
use super::gateways;
use super::lifecycle::{self, Reconcile, Transition};
use super::report::ProgressSender;
use super::request::{RunOptions, Wake};
use windlass_line::failpoint;
use windlass_line::supervision::Tasks;

/// Agents looked at in one go: a page of the store.
const BATCH: usize = 100;

/// How long a wake that is under way may take before its agent is looked at again: the whole budget of a run.
const IN_HAND: Duration = Duration::from_mins(11);

/// How long the history of one agent's session is waited for: a gateway that is down is no reason to leave the others.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// The newest runs of an agent among which the one that woke it last is looked for.
const RUNS: usize = 10;

/// How long to wait when the store fails.
const STORE_REST: Duration = Duration::from_secs(10);

/// Runs for as long as the provisioner. The wakes go on in `wakes`.
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
        let mut late = Vec::new();
        for agent in due {
            let verdict = settle(ctx, &agent).await?;
            if verdict != Reconcile::Skip {
                late.push((agent, verdict));
            }
        }
        if !late.is_empty() {
            // One that panics leaves its agents to their deadlines, which are `IN_HAND` away.
            wakes.spawn(deal_with(Rc::clone(ctx), late));
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
        Reconcile::GiveUp | Reconcile::WakeAgain => {
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
        actor: None,
        source: None,
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

/// Wakes agents again or gives them up; those that answered while nothing watched, as their session's history shows, are let off.
async fn deal_with(ctx: Rc<Context>, late: Vec<(Agent, Reconcile)>) {
    failpoint::reach("reconciler.wake");
    let looks = late.into_iter().map(|(agent, verdict)| {
        let ctx = Rc::clone(&ctx);
        async move { (answered(&ctx, &agent).await, agent, verdict) }
    });
    let looked: Vec<_> = stream::iter(looks).buffered(AGENTS_AT_A_TIME).collect().await;
    let mut to_wake = Vec::new();
    for (answered, agent, verdict) in looked {
        match (answered, verdict) {
            (true, _) => let_off(&ctx, &agent).await,
            (false, Reconcile::GiveUp) => give_up(&ctx, &agent).await,
            (false, _) => to_wake.push(agent),
        }
    }
    if !to_wake.is_empty() {
        wake(ctx, to_wake).await;
    }
}

/// Whether the history of its session has an answer to its latest wake. Where that can't be seen, it has not.
async fn answered(ctx: &Context, agent: &Agent) -> bool {
    let look = async {
        let wake = latest_wake(ctx, agent).await?;
        let gateway = ctx.store.gateway(agent.gateway_id).await.ok()??;
        let plane = ctx.fleet.control_plane(&gateway).await.ok()?;
        // The key stands in the message's text, too: histories before 2026.6.11 keep no keys.
        plane.was_answered(&agent.session_key, &wake, &wake).await.ok()
    };
    let found = tokio::time::timeout(LOOK_LIMIT, look).await;
    found.ok().flatten().unwrap_or(false)
}

/// The key of the message that woke it last.
async fn latest_wake(ctx: &Context, agent: &Agent) -> Option<String> {
    for run in ctx.store.runs(agent.id, RUNS).await.ok()? {
        let steps = ctx.store.steps(run.id).await.ok()?;
        if steps.iter().any(|step| step.name == StepName::Wake) {
            return run.wake_key;
        }
    }
    None
}

/// It answered at some time after its wake; that is all that is known of when.
async fn let_off(ctx: &Context, agent: &Agent) {
    let Some(at) = agent.last_wake_sent_at else { return };
    if let Err(error) = ctx.store.check_in(agent.id, CheckIn { at, status: None }).await {
        tracing::warn!(agent = %agent.id, "that it answered could not be kept: {error}");
    }
}

async fn give_up(ctx: &Context, agent: &Agent) {
    let still = |agent: &mut Agent| {
        // It may have been seen while its history was read.
        if lifecycle::owes_an_answer(agent) {
            lifecycle::apply(agent, Transition::GiveUp);
        }
    };
    match ctx.change(agent.id, still).await {
        Ok(Some(agent)) if agent.status == AgentStatus::Offline => note(ctx, &agent).await,
        Ok(_) => {}
        Err(error) => tracing::warn!(agent = %agent.id, "that it is offline could not be kept: {error}"),
    }
}

/// Gives every agent that owes an answer its time for it, from now on: time without a watching process does not count.
pub(crate) async fn begin_to_watch(ctx: &Context) {
    while let Err(error) = give_time(ctx).await {
        tracing::error!("agents can't be read: {error}");
        sleep(STORE_REST).await;
    }
}

async fn give_time(ctx: &Context) -> Result<(), StoreError> {
    for gateway in ctx.store.gateways(None).await? {
        let filter = AgentFilter {
            gateway: Some(gateway.id),
            ..AgentFilter::default()
        };
        for agent in ctx.store.agents(&filter).await? {
            if lifecycle::owes_an_answer(&agent) {
                let now = ctx.now();
                ctx.change(agent.id, |agent| lifecycle::watch(agent, now)).await?;
            }
        }
    }
    Ok(())
}

/// Updates them, with a fresh session, and wakes them.
async fn wake(ctx: Rc<Context>, agents: Vec<Agent>) {
    let options = RunOptions {
        // Writing takes its time on a busy gateway, and so does an agent's first answer.
        wake: Wake::UnlessSeen,
        reset_session: true,
        ..RunOptions::default()
    };
    let items = agents.into_iter().map(|agent| WorkItem::New {
        agent: agent.id,
        kind: Some(RunKind::Update),
        options,
        delete_files: false,
    });
    let report = gateways::work(ctx, items.collect(), ProgressSender::nobody()).await;
    for agent in report.failed() {
        let failure = agent.failure.as_ref().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(agent = %agent.agent, name = agent.name, "could not be woken again: {failure}");
    }
}
