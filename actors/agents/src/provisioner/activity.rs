//! Agents at work, as a gateway's own events show them: they count as seen.
//!
//! | event | meaning | releases |
//! |---|---|---|
//! | `chat` | an agent says something in a visible run | all releases |
//! | `agent`, stream `assistant` | the same, and the text of a heartbeat, which has no `chat` events | up to 2026.7 |
//! | `cron`, action `finished` | an agent answered its heartbeat: nothing else of that run is sent | 2026.8.2 and 2026.9.6 |
//! | `heartbeat` | some agent answered its heartbeat; the sessions that changed in that time tell which one | 2026.5.12, which sends nothing else |

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use windlass_protocol::run::explain_failed_run;
use windlass_protocol::{AgentEvent, AgentId, ChatEvent, ChatState, CronEvent, HeartbeatEvent, SessionKey};
use windlass_store::{Agent, Gateway, GatewayUid, StoreError};

use super::context::{Context, sleep};
use super::lifecycle;
use windlass_line::clock::sleep_until;
use windlass_line::failpoint;
use windlass_line::routing::{Event, LineEvent, Subscription};
use windlass_line::stall_detector::instrument;
use windlass_line::supervision::keep_running;

/// The events that tell of agents at work.
pub const ACTIVITY: [&str; 4] = ["chat", "agent", "cron", "heartbeat"];

/// Increments of one session are looked at this often at most: they come by the hundred.
const PAUSE: Duration = Duration::from_secs(5);

/// Most sessions with a remembered look; beyond it all are forgotten, which costs a look each.
const REMEMBERED: usize = 10_000;

/// Most heartbeats that wait for one look at the sessions: agents beyond are seen at their next heartbeats.
const UNNAMED: usize = 256;

/// Which sessions are listed after a heartbeat: it is over for some seconds, and releases count in minutes.
const ACTIVE_WITHIN: Duration = Duration::from_mins(2);

/// When a gateway's events are asked for again that could not be had: its token may be put where it is looked for, and a line
/// may be opened again.
const WATCH_AGAIN: Duration = Duration::from_mins(1);

/// How long to wait when the store fails.
const STORE_REST: Duration = Duration::from_secs(10);

/// Which gateways are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WatchScope {
    /// All that are on record; those that are added later from the moment at which they are first worked with.
    All,
    /// Those that are worked with.
    Met,
}

/// Watches gateways.
pub(crate) async fn watch_all(ctx: Rc<Context>, whose: WatchScope) {
    let mut met = ctx.met.subscribe();
    let (mut known, mut watches) = (BTreeSet::new(), JoinSet::new());
    loop {
        failpoint::reach("activity");
        met.mark_unchanged();
        let gateways = match ctx.store.gateways(None).await {
            Ok(gateways) => gateways,
            Err(error) => {
                tracing::error!("gateways can't be read, so their events are not watched: {error}");
                sleep(STORE_REST).await;
                continue;
            }
        };
        for gateway in gateways {
            let meant = whose == WatchScope::All || met.borrow().contains(&gateway.id);
            if meant && known.insert(gateway.id) {
                let (ctx, id) = (Rc::clone(&ctx), gateway.id);
                watches.spawn_local(instrument("activity", None, async move {
                    keep_running("activity", || ctx.clock.now(), || watch(Rc::clone(&ctx), id)).await;
                }));
            }
        }
        if met.changed().await.is_err() {
            return;
        }
    }
}

/// Watches a gateway for as long as it is on record.
async fn watch(ctx: Rc<Context>, gateway: GatewayUid) {
    loop {
        match ctx.store.gateway(gateway).await {
            Ok(Some(gateway)) => {
                if let Some(events) = ctx.fleet.activity(&gateway).await {
                    follow(&ctx, &gateway, events).await;
                }
            }
            Ok(None) => return,
            Err(error) => tracing::warn!(%gateway, "its record can't be read: {error}"),
        }
        sleep(WATCH_AGAIN).await;
    }
}

/// Follows events for as long as they come.
async fn follow(ctx: &Context, gateway: &Gateway, mut events: Subscription) {
    let mut looked = HashMap::new();
    let mut unnamed = UnnamedHeartbeats::default();
    loop {
        let item = tokio::select! {
            item = events.next() => item,
            () = unnamed.due() => {
                find_agents(ctx, gateway, unnamed.take()).await;
                continue;
            }
        };
        let Some(item) = item else { return };
        failpoint::reach("activity.stream");
        let LineEvent::Event(event) = item else { continue };
        if let Some((key, why)) = failing(&event) {
            note_failure(ctx, gateway, &key, &why).await;
            continue;
        }
        let now = ctx.clock.now();
        unnamed.note(&event, now);
        let Some((key, is_end)) = working(&event) else { continue };
        unnamed.named(now);
        if is_due(&mut looked, &key, is_end, now) {
            seen(ctx, gateway, &key).await;
        }
    }
}

/// Answered heartbeats whose agent no event has named so far.
#[derive(Default)]
struct UnnamedHeartbeats {
    /// The times of their runs, in ms since 1970 by the gateway's clock.
    runs: Vec<RangeInclusive<u64>>,
    /// When the first of them came.
    since: Option<Instant>,
    /// When an event named an agent last.
    named: Option<Instant>,
}

impl UnnamedHeartbeats {
    /// Takes a heartbeat, unless its run was told of by other events.
    fn note(&mut self, event: &Event, now: Instant) {
        if &*event.name != "heartbeat" || self.runs.len() >= UNNAMED {
            return;
        }
        let heartbeat: Option<HeartbeatEvent> = event.decode().ok();
        let Some(run) = heartbeat.and_then(|heartbeat| heartbeat.answered()) else {
            return;
        };
        let took = Duration::from_millis(run.end().saturating_sub(*run.start()));
        let began = now.checked_sub(took.saturating_add(PAUSE));
        if self.named.is_none_or(|named| began.is_some_and(|began| named < began)) {
            self.runs.push(run);
            self.since.get_or_insert(now);
        }
    }

    /// An event named an agent: on this release the other heartbeats are told of too.
    fn named(&mut self, now: Instant) {
        self.named = Some(now);
        self.runs.clear();
        self.since = None;
    }

    /// When the sessions are to be looked at; for ever where there is nothing to look for.
    async fn due(&self) {
        match self.since {
            Some(since) => sleep_until(since + PAUSE).await,
            None => std::future::pending().await,
        }
    }

    fn take(&mut self) -> Vec<RangeInclusive<u64>> {
        self.since = None;
        std::mem::take(&mut self.runs)
    }
}

/// Counts the agents as seen whose sessions changed in the time of these runs.
async fn find_agents(ctx: &Context, gateway: &Gateway, runs: Vec<RangeInclusive<u64>>) {
    let sessions = async {
        let plane = ctx.fleet.control_plane(gateway).await?;
        plane.active_sessions(ACTIVE_WITHIN).await
    };
    match sessions.await {
        Ok(sessions) => {
            for session in sessions {
                let changed = session.updated_at_ms;
                if changed.is_some_and(|at| runs.iter().any(|run| run.contains(&at))) {
                    seen(ctx, gateway, &session.key).await;
                }
            }
        }
        Err(error) => {
            tracing::debug!(gateway = %gateway.id, "its sessions could not be listed after a heartbeat: {error}");
        }
    }
}

/// The session in which an agent says something by this event, and whether it has said all.
fn working(event: &Event) -> Option<(SessionKey, bool)> {
    match &*event.name {
        "chat" => in_chat(event),
        "agent" => in_run(event),
        "cron" => in_heartbeat(event),
        _ => None,
    }
}

fn in_run(event: &Event) -> Option<(SessionKey, bool)> {
    let agent: AgentEvent = event.decode().ok()?;
    let key = SessionKey::parse(agent.session_key.as_deref()?).ok()?;
    agent.says_something().then_some((key, false))
}

/// The job runs in the agent's main session, which every agent of ours has.
fn in_heartbeat(event: &Event) -> Option<(SessionKey, bool)> {
    let cron: CronEvent = event.decode().ok()?;
    let agent = AgentId::parse(cron.answered_heartbeat()?).ok()?;
    Some((SessionKey::main_of(&agent), true))
}

fn in_chat(event: &Event) -> Option<(SessionKey, bool)> {
    let chat: ChatEvent = event.decode().ok()?;
    let is_end = match chat.state {
        ChatState::Delta => false,
        // A bare final means that the input was handed on: nobody said anything.
        ChatState::Final if chat.message.is_some() => true,
        _ => return None,
    };
    Some((SessionKey::parse(&chat.session_key).ok()?, is_end))
}

/// The session in which a run failed by this event, and the reason.
fn failing(event: &Event) -> Option<(SessionKey, String)> {
    if &*event.name != "chat" {
        return None;
    }
    let chat: ChatEvent = event.decode().ok()?;
    let key = SessionKey::parse(&chat.session_key).ok()?;
    (chat.state == ChatState::Error).then(|| {
        (
            key,
            explain_failed_run(chat.error_message.as_deref().unwrap_or_default()),
        )
    })
}

/// Keeps on record why an agent can't answer its wake, while an answer is waited for.
async fn note_failure(ctx: &Context, gateway: &Gateway, key: &SessionKey, why: &str) {
    let noted = async {
        if let Some(agent) = ctx.store.agent_by_session(gateway.id, key).await?
            && lifecycle::owes_an_answer(&agent)
        {
            let note = |agent: &mut Agent| {
                if lifecycle::owes_an_answer(agent) {
                    agent.last_provision_error = Some(why.to_owned());
                }
            };
            ctx.change(agent.id, note).await?;
        }
        Ok::<_, StoreError>(())
    };
    if let Err(error) = noted.await {
        tracing::warn!(gateway = %gateway.id, "why an agent's run failed could not be kept: {error}");
    }
}

fn is_due(looked: &mut HashMap<SessionKey, Instant>, key: &SessionKey, is_end: bool, now: Instant) -> bool {
    let recent = looked
        .get(key)
        .is_some_and(|at| now.saturating_duration_since(*at) < PAUSE);
    if recent && !is_end {
        return false;
    }
    if looked.len() >= REMEMBERED {
        looked.clear();
    }
    looked.insert(key.clone(), now);
    true
}

async fn seen(ctx: &Context, gateway: &Gateway, key: &SessionKey) {
    let touched = async {
        match ctx.store.agent_by_session(gateway.id, key).await? {
            Some(agent) => ctx.store.touch(agent.id, ctx.now()).await,
            None => Ok(false),
        }
    };
    match touched.await {
        Ok(true) => ctx.deadline_moved(),
        Ok(false) => {}
        Err(error) => tracing::warn!(gateway = %gateway.id, "an agent's activity could not be kept: {error}"),
    }
}
