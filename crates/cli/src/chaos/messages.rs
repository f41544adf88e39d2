//! Messages of the probe: sent into sessions in turn, each followed to its end, and looked for in the histories.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use windlass::Gateway;
use windlass::sessions::{RunEnd, SessionKey};
use windlass_line::{Clock as _, TokioClock};

use crate::chaos::probe::{Counts, PATIENCE, broken, lock, stopped_before};

/// How long a message is followed at most.
pub(crate) const MESSAGE_LIMIT: Duration = Duration::from_secs(300);
/// Between two messages.
const EVERY: Duration = Duration::from_secs(5);
/// Messages that may be under way: one each [`EVERY`], for as long as one may take.
const UNDER_WAY: usize = 60;
/// Rows of a history that are looked through: no release gives more at once.
const HISTORY: u32 = 1000;

/// The sessions that are talked to, and what was said in them.
#[derive(Clone)]
pub(crate) struct Messages {
    sessions: Arc<[SessionKey]>,
    said: Arc<Mutex<Vec<Said>>>,
}

struct Said {
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
        let places = Arc::new(Semaphore::new(UNDER_WAY));
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
        lock(&self.said).push(Said {
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
