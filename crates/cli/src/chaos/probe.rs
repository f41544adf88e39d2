//! A line of Windlass through the proxy, which makes calls and verifies the delivery guarantees.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use windlass::sessions::{RunEnd, SessionKey};
use windlass::{Gateway, LineStatus};
use windlass_line::{Clock as _, EventFilter, LineEvent, Marker, Subscription, TokioClock};
use windlass_protocol::{CallError, Generation, RawJson};

use crate::text::counted;

/// Deadline of every call. Longer than most faults last, so that most calls live to see their end; and short enough
/// that the load goes on through a fault that lasts, without holding on to the calls of minutes.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long the line may take, after the last fault, to come up, and the gateway to tell a history.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How late an end may be told: a busy machine's timers.
const GRACE: Duration = Duration::from_secs(2);
/// Calls that may be under way: two hundred a second, for as long as one may take. Past that none is made until one ends.
const UNDER_WAY: usize = 1000;
/// Broken promises that are kept in words; the others are counted.
const KEPT: usize = 20;
/// Events that may wait for the check.
const BACKLOG: usize = 100_000;

/// The settings of a probe.
#[derive(Debug, Clone)]
pub(crate) struct ProbeOptions {
    pub(crate) calls_per_second: u32,
    pub(crate) chat: Vec<SessionKey>,
}

/// The results of the calls so far, and the broken guarantees.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) ok: u64,
    pub(crate) rejected: u64,
    pub(crate) not_sent: u64,
    pub(crate) unknown: u64,
    pub(crate) timed_out: u64,
    pub(crate) under_way: u64,
    pub(crate) events: u64,
    pub(crate) markers: u64,
    /// Messages that were sent, and those that were answered.
    pub(crate) messages: u64,
    pub(crate) answered: u64,
    pub(crate) broken: u64,
    pub(crate) told: Vec<String>,
}

/// A running probe.
pub(crate) struct Probe {
    gateway: Gateway,
    counts: Arc<Mutex<Counts>>,
    /// The tasks that make the load. Each ends after it was told to stop and its calls have ended.
    load: JoinSet<()>,
    stop: watch::Sender<bool>,
    watching: JoinSet<()>,
    messages: Messages,
}

impl Probe {
    pub(crate) fn start(gateway: &Gateway, options: ProbeOptions) -> Self {
        let mut probe = Self {
            gateway: gateway.clone(),
            counts: Arc::default(),
            load: JoinSet::new(),
            stop: watch::Sender::new(false),
            watching: JoinSet::new(),
            messages: Messages::into_sessions(options.chat),
        };
        let events = gateway.events_bounded(EventFilter::all(), BACKLOG);
        probe
            .watching
            .spawn(follow(gateway.clone(), events, Arc::clone(&probe.counts)));
        let stop = probe.stop.subscribe();
        let calls = call_on(
            gateway.clone(),
            options.calls_per_second.max(1),
            Arc::clone(&probe.counts),
            stop.clone(),
        );
        probe.load.spawn(calls);
        let messages = probe.messages.clone();
        let (gateway, counts) = (gateway.clone(), Arc::clone(&probe.counts));
        probe
            .load
            .spawn(async move { messages.send_on(&gateway, &counts, stop).await });
        probe
    }

    pub(crate) fn counts(&self) -> Counts {
        lock(&self.counts).clone()
    }

    pub(crate) fn status(&self) -> LineStatus {
        self.gateway.status().borrow().clone()
    }

    /// Stops the load, waits for the calls under way, and makes the last checks.
    pub(crate) async fn conclude(mut self) -> Counts {
        self.stop.send_replace(true);
        // A line that was refused waits for minutes, as it should.
        if let Err(error) = self.gateway.reconnect_now().await {
            broken(&self.counts, error.to_string());
        }
        let ended = async { while self.load.join_next().await.is_some() {} };
        if tokio::time::timeout(MESSAGE_LIMIT + PATIENCE, ended).await.is_err() {
            broken(
                &self.counts,
                "calls or a message did not end after the last fault".into(),
            );
            self.load.shutdown().await;
        }
        self.watching.shutdown().await;
        let up = self.gateway.wait_until_up(PATIENCE).await;
        if up.is_err() {
            broken(
                &self.counts,
                "the line did not come up again after the last fault".into(),
            );
        }
        match self.gateway.inspect().await {
            Ok(left) if (left.in_flight, left.waiting) == (0, 0) => {}
            Ok(left) => broken(
                &self.counts,
                format!(
                    "left in the line's books: {}",
                    counted(left.in_flight + left.waiting, "call")
                ),
            ),
            Err(error) => broken(&self.counts, error.to_string()),
        }
        self.messages.look_up(&self.gateway, &self.counts).await;
        self.counts()
    }
}

/// Makes read-only calls at the given rate, whether the line is up or down.
async fn call_on(gateway: Gateway, per_second: u32, counts: Arc<Mutex<Counts>>, mut stop: watch::Receiver<bool>) {
    const METHODS: [&str; 3] = ["health", "status", "agents.list"];
    let places = Arc::new(Semaphore::new(UNDER_WAY));
    let mut tick = interval(Duration::from_secs(1) / per_second);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut calls = JoinSet::new();
    for method in METHODS.into_iter().cycle() {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        // After the place: nothing is begun once it was told to stop.
        if stopped_before(&mut stop, tick.tick()).await {
            break;
        }
        while calls.try_join_next().is_some() {}
        lock(&counts).under_way += 1;
        let (gateway, counts) = (gateway.clone(), Arc::clone(&counts));
        calls.spawn(async move {
            let clock = TokioClock::start();
            let begun = clock.now();
            // A call that is not told its end by now never will be.
            let end = tokio::time::timeout(DEADLINE * 2, gateway.call(method, ()).timeout(DEADLINE)).await;
            drop(place);
            let took = clock.now().saturating_duration_since(begun);
            ended(&counts, method, end.as_ref().ok(), took);
        });
    }
    while calls.join_next().await.is_some() {}
}

/// Waits for a turn of the load; whether it was stopped meanwhile.
pub(crate) async fn stopped_before<T>(stop: &mut watch::Receiver<bool>, turn: impl Future<Output = T>) -> bool {
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => true,
        _ = turn => false,
    }
}

fn ended(counts: &Mutex<Counts>, method: &str, end: Option<&Result<RawJson, CallError>>, took: Duration) {
    if took > DEADLINE + GRACE {
        broken(
            counts,
            format!("{method} ended {took:?} after it began, and had {DEADLINE:?}"),
        );
    }
    let mut counts = lock(counts);
    counts.under_way -= 1;
    match end {
        Some(Ok(_)) => counts.ok += 1,
        Some(Err(CallError::Rejected(_))) => counts.rejected += 1,
        Some(Err(CallError::NotSent(_))) => counts.not_sent += 1,
        Some(Err(CallError::OutcomeUnknown(_))) => {
            counts.unknown += 1;
            note(
                &mut counts,
                format!("{method} only reads, and its outcome was called unknown"),
            );
        }
        Some(Err(_)) => counts.timed_out += 1,
        None => note(&mut counts, format!("{method} was not told its end")),
    }
}

/// Events have no hole without a marker, as far as their numbers tell (generation 4).
async fn follow(gateway: Gateway, mut events: Subscription, counts: Arc<Mutex<Counts>>) {
    let status = gateway.status();
    let mut last: Option<(Generation, u64)> = None;
    while let Some(item) = events.next().await {
        match item {
            LineEvent::Marker(marker) => {
                lock(&counts).markers += 1;
                if !matches!(*marker, Marker::Resynced { .. }) {
                    last = None;
                }
            }
            LineEvent::Event(event) => {
                lock(&counts).events += 1;
                let Some(seq) = event.seq else { continue };
                let numbered = status.borrow().protocol().is_some_and(|protocol| protocol >= 4);
                let before = last.replace((event.generation, seq));
                if let Some((generation, before)) = before
                    && numbered
                    && generation == event.generation
                    && seq != before + 1
                {
                    broken(&counts, format!("event {seq} came after {before} without a marker"));
                }
            }
        }
    }
}

pub(crate) fn broken(counts: &Mutex<Counts>, what: String) {
    note(&mut lock(counts), what);
}

fn note(counts: &mut Counts, what: String) {
    counts.broken += 1;
    if counts.told.len() < KEPT {
        counts.told.push(what);
    }
}

pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a message is followed at most.
pub(crate) const MESSAGE_LIMIT: Duration = Duration::from_mins(5);
/// Between two messages.
const EVERY: Duration = Duration::from_secs(5);
/// Messages that may be under way: one each [`EVERY`], for as long as one may take.
const MESSAGES_UNDER_WAY: usize = 60;
/// Rows of a history that are looked through: no release gives more at once.
const HISTORY: u32 = 1000;

/// The sessions of the probe and the messages sent to them.
#[derive(Clone)]
pub(crate) struct Messages {
    sessions: Arc<[SessionKey]>,
    said: Arc<Mutex<Vec<ProbeMessage>>>,
}

struct ProbeMessage {
    session: SessionKey,
    text: String,
    answered: bool,
}

impl Messages {
    pub(crate) fn into_sessions(sessions: Vec<SessionKey>) -> Self {
        Self {
            sessions: sessions.into(),
            said: Arc::default(),
        }
    }

    /// One message each [`EVERY`], whether the last one was answered or not, until it is told to stop; returns when all
    /// have ended.
    pub(crate) async fn send_on(
        &self,
        gateway: &Gateway,
        counts: &Arc<Mutex<Counts>>,
        mut stop: watch::Receiver<bool>,
    ) {
        let run = crate::text::millis(TokioClock::start().wall());
        let places = Arc::new(Semaphore::new(MESSAGES_UNDER_WAY));
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut under_way = JoinSet::new();
        for (number, session) in self.sessions.iter().cycle().enumerate() {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            // After the place: nothing is begun once it was told to stop.
            if stopped_before(&mut stop, tick.tick()).await {
                break;
            }
            while under_way.try_join_next().is_some() {}
            let text = format!("chaos probe {run}-{number}: answer with one word");
            let (messages, gateway, counts) = (self.clone(), gateway.clone(), Arc::clone(counts));
            let session = session.clone();
            under_way.spawn(async move {
                messages.send(&gateway, &counts, session, text).await;
                drop(place);
            });
        }
        while under_way.join_next().await.is_some() {}
    }

    async fn send(&self, gateway: &Gateway, counts: &Mutex<Counts>, session: SessionKey, text: String) {
        lock(counts).messages += 1;
        let message = gateway
            .message(session.clone(), text.clone())
            .give_up_after(MESSAGE_LIMIT);
        let end = gateway.send_and_wait(message).await;
        let answered = matches!(end, Ok(RunEnd::Final(_)));
        lock(counts).answered += u64::from(answered);
        lock(&self.said).push(ProbeMessage {
            session,
            text,
            answered,
        });
    }

    /// Each message stands in its session's history once at most, and once if it was answered.
    pub(crate) async fn look_up(&self, gateway: &Gateway, counts: &Mutex<Counts>) {
        for session in self.sessions.iter() {
            let params = json!({"sessionKey": session.to_string(), "limit": HISTORY});
            let Ok(history) = gateway.call("chat.history", params).timeout(PATIENCE).await else {
                broken(counts, format!("the history of {session} could not be read"));
                continue;
            };
            let users = users_of(&history.decode().unwrap_or_default());
            for said in lock(&self.said).iter().filter(|said| said.session == *session) {
                let times = users.iter().filter(|row| row.contains(&said.text)).count();
                if times > 1 || (said.answered && times == 0 && users.len() < HISTORY as usize / 2) {
                    broken(
                        counts,
                        format!("a message stands in the history of {session} {times} times"),
                    );
                }
            }
        }
    }
}

/// The rows of a history that users wrote.
fn users_of(history: &Value) -> Vec<String> {
    let rows = history["messages"].as_array().into_iter().flatten();
    rows.filter(|row| row["role"] == "user")
        .map(ToString::to_string)
        .collect()
}
