//! What a simulated gateway saw and did.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

/// Entries kept; beyond it the oldest go. A long soak stays in memory, a test never gets here.
pub const JOURNAL_LIMIT: usize = 200_000;

/// Something that changed the gateway, executed exactly when it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SideEffect {
    /// `agents.create`.
    AgentCreated {
        /// The id that the gateway made from the name.
        agent_id: String,
    },
    /// `agents.update`.
    AgentUpdated {
        /// Agent.
        agent_id: String,
    },
    /// `agents.delete`.
    AgentDeleted {
        /// Agent.
        agent_id: String,
    },
    /// `agents.files.set`.
    FileWritten {
        /// Agent.
        agent_id: String,
        /// File name such as `SOUL.md`.
        name: String,
    },
    /// An accepted `config.patch` that changed something.
    ConfigWritten {
        /// Dotted paths of the changed keys.
        paths: Vec<String>,
    },
    /// `sessions.patch`.
    SessionPatched {
        /// Session key.
        key: String,
    },
    /// `sessions.reset`.
    SessionReset {
        /// Session key.
        key: String,
    },
    /// `sessions.delete` of a session that was there.
    SessionDeleted {
        /// Session key.
        key: String,
    },
    /// A text was handed to the model: by `chat.send`, by `agent`, or by a resumed turn.
    ChatRun {
        /// Run id, which is the idempotency key unless the gateway made its own.
        key: String,
        /// Session key.
        session: String,
        /// The text.
        message: String,
    },
    /// A run ended, in whatever way.
    RunEnded {
        /// Run id.
        key: String,
    },
    /// A text was carried out as a command instead of being handed to the model, such as `stop`.
    CommandDone {
        /// The idempotency key that it came with.
        key: String,
    },
    /// A heartbeat scratch was written or removed.
    ScratchWritten {
        /// Cron job id.
        job_id: String,
    },
    /// A pairing request was decided.
    PairingResolved {
        /// Request id.
        request_id: String,
        /// `approved` or `rejected`.
        decision: String,
    },
    /// The gateway restarted.
    Restarted,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Entry {
    /// A client connected (or tried to: a refusing gateway records the attempt on a pipe only).
    Connected {
        /// Connection number, counted from 1.
        conn: u64,
    },
    /// The gateway took a handshake and answered with `hello-ok`.
    Hello {
        /// Connection number.
        conn: u64,
        /// `client.id`.
        client: String,
        /// Scopes that were granted.
        scopes: Vec<String>,
        /// Names of the credentials that came along: `token`, `deviceToken`, `device`, ...
        credentials: Vec<String>,
    },
    /// The gateway refused a handshake.
    Refused {
        /// Connection number.
        conn: u64,
        /// Error code.
        code: String,
        /// `details.code`, if any.
        detail: Option<String>,
    },
    /// A request frame arrived; credentials of `connect` are replaced.
    Request {
        /// Connection number.
        conn: u64,
        /// Request id.
        id: String,
        /// Method.
        method: String,
        /// Parameters.
        params: Value,
    },
    /// A handler ran to success.
    Executed {
        /// Connection number.
        conn: u64,
        /// Method.
        method: String,
    },
    /// Something changed.
    Effect(SideEffect),
    /// The connection is gone.
    Closed {
        /// Connection number.
        conn: u64,
        /// The close code that the gateway sent, if it sent one.
        code: Option<u16>,
    },
}

/// An [`Entry`] with its time since the gateway was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Tokio time since the gateway was made.
    pub at: Duration,
    /// What happened.
    pub entry: Entry,
}

/// The raw text of an inbound frame, credentials replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Connection number.
    pub conn: u64,
    /// Text.
    pub text: String,
}

#[derive(Debug, Default)]
struct Pages {
    records: VecDeque<Record>,
    frames: VecDeque<Frame>,
    dropped: u64,
    attempts: u64,
    open: u64,
}

/// The record of a simulated gateway; a cheap handle, all clones read the same record.
#[derive(Clone, Debug)]
pub struct Journal {
    pages: Arc<Mutex<Pages>>,
    version: Arc<watch::Sender<u64>>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            pages: Arc::default(),
            version: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Everything so far, oldest first.
    pub fn records(&self) -> Vec<Record> {
        self.pages().records.iter().cloned().collect()
    }

    /// Raw texts of the inbound frames, oldest first; `auth` values and signatures are replaced.
    pub fn frames(&self) -> Vec<Frame> {
        self.pages().frames.iter().cloned().collect()
    }

    /// Parameters of every request for `method`, oldest first, answered or not.
    pub fn requests(&self, method: &str) -> Vec<Value> {
        self.collect(|entry| match entry {
            Entry::Request {
                method: named, params, ..
            } if named == method => Some(params.clone()),
            _ => None,
        })
    }

    /// How often the handler of `method` ran to success (scripted answers do not count). Recorded before the answer
    /// is sent: whoever waits for it and then breaks the connection may take the answer away.
    pub fn executions(&self, method: &str) -> usize {
        self.collect(|entry| matches!(entry, Entry::Executed { method: named, .. } if named == method).then_some(()))
            .len()
    }

    /// All side effects, oldest first.
    pub fn effects(&self) -> Vec<SideEffect> {
        self.collect(|entry| match entry {
            Entry::Effect(effect) => Some(effect.clone()),
            _ => None,
        })
    }

    /// How many side effects `wanted` takes.
    pub fn count(&self, wanted: impl Fn(&SideEffect) -> bool) -> usize {
        self.effects().iter().filter(|effect| wanted(effect)).count()
    }

    /// How often this text was handed to the model.
    pub fn runs_of(&self, message: &str) -> usize {
        self.count(|effect| matches!(effect, SideEffect::ChatRun { message: text, .. } if text == message))
    }

    /// Handshakes that ended in `hello-ok`.
    pub fn hellos(&self) -> usize {
        self.collect(|entry| matches!(entry, Entry::Hello { .. }).then_some(()))
            .len()
    }

    /// Connections so far, refused ones included as far as the gateway can see them.
    pub fn connect_attempts(&self) -> u64 {
        self.pages().attempts
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> u64 {
        self.pages().open
    }

    /// Entries that were dropped for [`JOURNAL_LIMIT`].
    pub fn dropped(&self) -> u64 {
        self.pages().dropped
    }

    /// Drops what is kept so far; counts of connections stay. For runs of many days, between two days.
    pub fn forget(&self) {
        let mut pages = self.pages();
        pages.records = VecDeque::new();
        pages.frames = VecDeque::new();
    }

    /// Changes with every entry; lets a waiter sleep until there is something new to look at.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(crate) fn record(&self, at: Duration, entry: Entry) {
        let mut pages = self.pages();
        match &entry {
            Entry::Connected { .. } => {
                pages.attempts += 1;
                pages.open += 1;
            }
            Entry::Closed { .. } => pages.open = pages.open.saturating_sub(1),
            _ => {}
        }
        if pages.records.len() == JOURNAL_LIMIT {
            pages.records.pop_front();
            pages.dropped += 1;
        }
        pages.records.push_back(Record { at, entry });
        drop(pages);
        self.version.send_modify(|version| *version += 1);
    }

    /// Counts an attempt that never became a connection.
    pub(crate) fn attempt(&self) {
        self.pages().attempts += 1;
        self.version.send_modify(|version| *version += 1);
    }

    pub(crate) fn frame(&self, conn: u64, text: String) {
        let mut pages = self.pages();
        if pages.frames.len() == JOURNAL_LIMIT {
            pages.frames.pop_front();
        }
        pages.frames.push_back(Frame { conn, text });
    }

    fn collect<T>(&self, pick: impl Fn(&Entry) -> Option<T>) -> Vec<T> {
        self.pages()
            .records
            .iter()
            .filter_map(|record| pick(&record.entry))
            .collect()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replaces what must not be kept of a `connect` request: `auth` values and the signature.
pub(crate) fn redacted(mut params: Value) -> Value {
    const HIDDEN: &str = "redacted";
    if let Some(auth) = params.get_mut("auth").and_then(Value::as_object_mut) {
        for secret in auth.values_mut() {
            *secret = Value::from(HIDDEN);
        }
    }
    if let Some(signature) = params.pointer_mut("/device/signature") {
        *signature = Value::from(HIDDEN);
    }
    params
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::redacted;

    #[test]
    fn no_credential_of_a_connect_request_survives() {
        let kept = redacted(json!({"auth": {"token": "s3"}, "device": {"id": "d", "signature": "sig"}})).to_string();
        assert!(!kept.contains("s3") && !kept.contains("sig\""), "{kept}");
        assert!(kept.contains("\"d\""));
    }
}
