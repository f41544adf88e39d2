//! The load of the demo, and the results of its calls against the journals of the gateways.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use windlass::Gateway;
use windlass_protocol::connection::CallCounters;
use windlass_protocol::{CallError, RawJson};
use windlass_testkit::{Journal, SideEffect};

use crate::demo::stage::DemoSetup;

/// Deadline of each call: longer than any outage of the schedule and the reconnect after it.
const DEADLINE: Duration = Duration::from_secs(6);
/// Pauses between the calls of one task.
const READ_EVERY: Duration = Duration::from_millis(15);
const CHAT_EVERY: Duration = Duration::from_millis(60);
const CREATE_EVERY: Duration = Duration::from_millis(350);
/// Tasks of each kind per gateway.
const READERS: usize = 2;
const CHATTERS: usize = 2;
const CREATORS: usize = 1;

const READS: [&str; 3] = ["health", "agents.list", "sessions.list"];

/// The tasks that are running.
pub(crate) struct Callers {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

/// One task's view.
struct DemoCaller {
    index: usize,
    number: usize,
    gateway: Gateway,
    ledger: Arc<Ledger>,
    stop: watch::Receiver<bool>,
}

pub(crate) fn start(stage: &DemoSetup, ledger: &Arc<Ledger>) -> Callers {
    let (stop, stops) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for (index, cast) in stage.casts.iter().enumerate() {
        let caller = |number| DemoCaller {
            index,
            number,
            gateway: cast.gateway.clone(),
            ledger: Arc::clone(ledger),
            stop: stops.clone(),
        };
        for number in 0..READERS {
            tasks.spawn(caller(number).read());
        }
        for number in 0..CHATTERS {
            tasks.spawn(caller(number).chat());
        }
        for number in 0..CREATORS {
            tasks.spawn(caller(number).create());
        }
    }
    Callers { tasks, stop }
}

/// Lets every task finish the call that it is in.
pub(crate) async fn stop(callers: &mut Callers) {
    callers.stop.send_replace(true);
    while callers.tasks.join_next().await.is_some() {}
}

impl DemoCaller {
    async fn read(self) {
        for turn in 0.. {
            let method = READS[turn % READS.len()];
            let record = self.ledger.begin(self.index, CallKind::Read);
            let ended = self.gateway.call(method, ()).timeout(DEADLINE).await;
            self.ledger.end(record, end_of(&ended));
            if self.over_after(READ_EVERY).await {
                return;
            }
        }
    }

    async fn chat(self) {
        for turn in 0.. {
            let key = format!("demo-{}-{}-{turn}", self.index, self.number);
            // A session for each message: texts that meet in one session are joined into one run.
            let params = json!({"sessionKey": format!("agent:main:{key}"), "message": format!("message {key}")});
            self.change(CallKind::Chat(key.clone()), "chat.send", params, Some(key))
                .await;
            if self.over_after(CHAT_EVERY).await {
                return;
            }
        }
    }

    async fn create(self) {
        for turn in 0.. {
            let name = format!("demo-agent-{}-{}-{turn}", self.index, self.number);
            let params = json!({"name": name, "workspace": format!("/tmp/{name}")});
            self.change(CallKind::Create(name), "agents.create", params, None).await;
            if self.over_after(CREATE_EVERY).await {
                return;
            }
        }
    }

    async fn change(&self, what: CallKind, method: &'static str, params: Value, key: Option<String>) {
        let record = self.ledger.begin(self.index, what);
        let mut call = self.gateway.call(method, params).timeout(DEADLINE);
        if let Some(key) = key {
            call = call.idempotency_key(key);
        }
        let ended = call.await;
        self.ledger.end(record, end_of(&ended));
    }

    /// Waits a little; whether the play is over.
    async fn over_after(&self, pause: Duration) -> bool {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = sleep(pause) => false,
            _ = stop.wait_for(|stop| *stop) => true,
        }
    }
}

const fn end_of(ended: &Result<RawJson, CallError>) -> CallResult {
    match ended {
        Ok(_) => CallResult::Answered,
        Err(CallError::Rejected(_)) => CallResult::Rejected,
        Err(CallError::NotSent(_)) => CallResult::NotSent,
        // Unknown, timed out, and what a later protocol crate adds: the caller was told that it can't know.
        Err(_) => CallResult::Unknown,
    }
}

/// CallKind a call was to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// Nothing but read.
    Read,
    /// Start a run under this idempotency key.
    Chat(String),
    /// Create the agent of this id.
    Create(String),
}

/// CallKind its caller was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallResult {
    Answered,
    Rejected,
    NotSent,
    /// That it can't be known.
    Unknown,
}

/// One call.
#[derive(Debug, Clone)]
struct CallRecord {
    gateway: usize,
    what: CallKind,
    end: Option<CallResult>,
}

/// Every call of the demo.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Vec<CallRecord>>);

/// CallKind became of the calls of one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct GatewayTally {
    pub(crate) calls: usize,
    pub(crate) answered: usize,
    pub(crate) rejected: usize,
    pub(crate) not_sent: usize,
    pub(crate) unknown: usize,
    /// Of those unknown: carried out all the same.
    pub(crate) unknown_done: usize,
    /// Requests that were written again after a reconnect.
    pub(crate) resent: u64,
    /// Answered, and not found in the journal; or never told anything.
    pub(crate) lost: usize,
    /// Found in the journal more than once.
    pub(crate) duplicated: usize,
    /// Reported as rejected or not sent, and found in the journal.
    pub(crate) misreported: usize,
    /// Turns that the gateway took up again by itself after a crash, which generation 4 does.
    pub(crate) resumed: usize,
}

impl GatewayTally {
    /// Whether every call was done once, or its caller knows better.
    pub(crate) const fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.misreported == 0
    }
}

impl Ledger {
    /// Writes down a call that begins, and gives its number.
    pub(crate) fn begin(&self, gateway: usize, what: CallKind) -> usize {
        let mut records = self.records();
        records.push(CallRecord {
            gateway,
            what,
            end: None,
        });
        records.len() - 1
    }

    /// Records the result that the caller got.
    pub(crate) fn end(&self, number: usize, end: CallResult) {
        if let Some(record) = self.records().get_mut(number) {
            record.end = Some(end);
        }
    }

    /// Calls of a gateway so far, and how many of them have ended.
    pub(crate) fn progress(&self, gateway: usize) -> (usize, usize) {
        let records = self.records();
        let own = records.iter().filter(|record| record.gateway == gateway);
        own.fold((0, 0), |(all, ended), record| {
            (all + 1, ended + usize::from(record.end.is_some()))
        })
    }

    /// Compares a gateway's calls with its journal.
    pub(crate) fn tally(&self, gateway: usize, journal: &Journal, counters: CallCounters) -> GatewayTally {
        let own: Vec<_> = self
            .records()
            .iter()
            .filter(|record| record.gateway == gateway)
            .cloned()
            .collect();
        GatewayTally {
            resent: counters.resent,
            ..tally(&own, &journal.effects())
        }
    }

    fn records(&self) -> MutexGuard<'_, Vec<CallRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tally(records: &[CallRecord], effects: &[SideEffect]) -> GatewayTally {
    let done = Done::count(effects);
    let mut tally = GatewayTally {
        calls: records.len(),
        ..GatewayTally::default()
    };
    for CallRecord { what, end, .. } in records {
        let times = done.times(what);
        match end {
            Some(CallResult::Answered) => tally.answered += 1,
            Some(CallResult::Rejected) => tally.rejected += 1,
            Some(CallResult::NotSent) => tally.not_sent += 1,
            Some(CallResult::Unknown) => tally.unknown += 1,
            None => tally.lost += 1,
        }
        let Some(times) = times else { continue };
        tally.duplicated += usize::from(times > 1);
        match end {
            Some(CallResult::Answered) if times == 0 => tally.lost += 1,
            Some(CallResult::Rejected | CallResult::NotSent) if times > 0 => tally.misreported += 1,
            Some(CallResult::Unknown) if times > 0 => tally.unknown_done += 1,
            _ => {}
        }
    }
    let asked = |key: &String| records.iter().any(|record| record.what == CallKind::Chat(key.clone()));
    tally.resumed = done
        .chats
        .iter()
        .filter(|(key, _)| !asked(key))
        .map(|(_, times)| times)
        .sum();
    tally
}

/// How often each side effect stands in a journal.
struct Done {
    chats: HashMap<String, usize>,
    agents: HashMap<String, usize>,
}

impl Done {
    fn count(effects: &[SideEffect]) -> Self {
        let mut done = Self {
            chats: HashMap::new(),
            agents: HashMap::new(),
        };
        for effect in effects {
            match effect {
                SideEffect::ChatRun { key, .. } => *done.chats.entry(key.clone()).or_default() += 1,
                SideEffect::AgentCreated { agent_id } => *done.agents.entry(agent_id.clone()).or_default() += 1,
                _ => {}
            }
        }
        done
    }

    /// How often the gateway did it; nothing for reads, which can be done any number of times.
    fn times(&self, what: &CallKind) -> Option<usize> {
        match what {
            CallKind::Read => None,
            CallKind::Chat(key) => Some(self.chats.get(key).copied().unwrap_or(0)),
            CallKind::Create(id) => Some(self.agents.get(id).copied().unwrap_or(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(key: &str) -> SideEffect {
        SideEffect::ChatRun {
            key: key.into(),
            session: "s".into(),
            message: "m".into(),
        }
    }

    fn chat(key: &str, end: impl Into<Option<CallResult>>) -> CallRecord {
        CallRecord {
            gateway: 0,
            what: CallKind::Chat(key.into()),
            end: end.into(),
        }
    }

    #[test]
    fn a_call_that_is_done_once_is_clean_whatever_its_caller_was_told() {
        let records = [
            chat("a", CallResult::Answered),
            chat("b", CallResult::Unknown),
            chat("c", CallResult::Unknown),
        ];
        let tally = tally(&records, &[run("a"), run("b"), run("gateway's own")]);
        assert!(tally.is_clean());
        assert_eq!(
            (tally.answered, tally.unknown, tally.unknown_done, tally.resumed),
            (1, 2, 1, 1)
        );
    }

    #[test]
    fn every_way_to_be_wrong_is_found() {
        let lost = tally(&[chat("a", CallResult::Answered)], &[]);
        let forgotten = tally(&[chat("a", None)], &[run("a")]);
        let twice = tally(&[chat("a", CallResult::Answered)], &[run("a"), run("a")]);
        let unknown_twice = tally(&[chat("a", CallResult::Unknown)], &[run("a"), run("a")]);
        let misreported = tally(&[chat("a", CallResult::NotSent)], &[run("a")]);
        assert_eq!((lost.lost, forgotten.lost), (1, 1));
        assert_eq!(
            (twice.duplicated, unknown_twice.duplicated, misreported.misreported),
            (1, 1, 1)
        );
        assert!(
            [lost, forgotten, twice, unknown_twice, misreported]
                .iter()
                .all(|tally| !tally.is_clean())
        );
    }
}
