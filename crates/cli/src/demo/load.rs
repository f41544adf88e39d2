//! Tasks that call and chat all the time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use windlass::Gateway;
use windlass_protocol::{CallError, RawJson};

use crate::demo::ledger::{End, Ledger, What};
use crate::demo::stage::Stage;

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
struct Caller {
    index: usize,
    number: usize,
    gateway: Gateway,
    ledger: Arc<Ledger>,
    stop: watch::Receiver<bool>,
}

pub(crate) fn start(stage: &Stage, ledger: &Arc<Ledger>) -> Callers {
    let (stop, stops) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for (index, cast) in stage.casts.iter().enumerate() {
        let caller = |number| Caller {
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

impl Caller {
    async fn read(self) {
        for turn in 0.. {
            let method = READS[turn % READS.len()];
            let record = self.ledger.begin(self.index, What::Read);
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
            self.change(What::Chat(key.clone()), "chat.send", params, Some(key))
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
            self.change(What::Create(name), "agents.create", params, None).await;
            if self.over_after(CREATE_EVERY).await {
                return;
            }
        }
    }

    async fn change(&self, what: What, method: &'static str, params: Value, key: Option<String>) {
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

const fn end_of(ended: &Result<RawJson, CallError>) -> End {
    match ended {
        Ok(_) => End::Answered,
        Err(CallError::Rejected(_)) => End::Rejected,
        Err(CallError::NotSent(_)) => End::NotSent,
        // Unknown, timed out, and what a later protocol crate adds: the caller was told that it can't know.
        Err(_) => End::Unknown,
    }
}
