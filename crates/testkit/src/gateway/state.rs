//! The memory of a simulated gateway: what a real one keeps in its process and on its disk.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::chat::{ChatPlan, Run};
use super::pairing::Devices;
use super::profile::Profile;
use super::random::Random;
use crate::net::link::Link;

/// Frames that may wait in one connection's queue. The byte limit of the profile is the measured bound; this one
/// only keeps the queue itself finite.
pub(crate) const OUTBOX: usize = 4096;

/// One thing for a connection's writer to do.
#[derive(Debug)]
pub(crate) enum Out {
    Frame(String),
    Close { code: u16, reason: String },
}

/// The sending side of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    sender: mpsc::Sender<Out>,
    queued: Arc<AtomicUsize>,
}

impl Outbox {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Out>, Arc<AtomicUsize>) {
        let (sender, receiver) = mpsc::channel(OUTBOX);
        let queued = Arc::new(AtomicUsize::new(0));
        (
            Self {
                sender,
                queued: Arc::clone(&queued),
            },
            receiver,
            queued,
        )
    }

    /// Queues an answer, waiting for room: answers are never dropped.
    pub(crate) async fn answer(&self, text: String) {
        self.queued.fetch_add(text.len(), Ordering::Relaxed);
        // An error means that the connection is gone, and with it whoever wanted the answer.
        let _ = self.sender.send(Out::Frame(text)).await;
    }

    /// Queues an event if there is room; `false` if not.
    pub(crate) fn offer(&self, text: String) -> bool {
        let size = text.len();
        let taken = self.sender.try_send(Out::Frame(text)).is_ok();
        if taken {
            self.queued.fetch_add(size, Ordering::Relaxed);
        }
        taken
    }

    /// Asks the writer to close once everything before it is written; `false` if the queue is full.
    pub(crate) fn close(&self, code: u16, reason: &str) -> bool {
        self.sender
            .try_send(Out::Close {
                code,
                reason: reason.to_owned(),
            })
            .is_ok()
    }

    /// As [`close`](Self::close), waiting for room.
    pub(crate) async fn close_in_turn(&self, code: u16, reason: &str) {
        // An error means that the connection is gone, which is what the close was for.
        let _ = self
            .sender
            .send(Out::Close {
                code,
                reason: reason.to_owned(),
            })
            .await;
    }

    /// Bytes that wait for the peer.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }
}

/// Who is at the other end, known after the hello.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) client_id: String,
    pub(crate) mode: String,
    pub(crate) version: String,
    pub(crate) platform: String,
    pub(crate) role: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) caps: Vec<String>,
    pub(crate) device_id: Option<String>,
}

impl Peer {
    /// `operator.admin` implies everything, `operator.write` implies `operator.read`.
    pub(crate) fn may(&self, scope: &str) -> bool {
        let has = |wanted: &str| self.scopes.iter().any(|scope| scope == wanted);
        has(scope) || has("operator.admin") || (scope == "operator.read" && has("operator.write"))
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) outbox: Outbox,
    pub(crate) link: watch::Sender<Link>,
    pub(crate) peer: Option<Peer>,
    pub(crate) seq: u64,
    pub(crate) withhold: bool,
    pub(crate) sessions: bool,
    pub(crate) messages: BTreeSet<String>,
    pub(crate) role_refusals: u32,
}

/// What a dialling client meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Open,
    /// Connection refused.
    Shut,
}

/// A file of an agent's workspace.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) content: String,
    pub(crate) updated_ms: u64,
}

/// A session with its transcript, which is on disk and survives restarts.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) revision: String,
    pub(crate) created_ms: u64,
    pub(crate) updated_ms: u64,
    pub(crate) label: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) thinking: Option<String>,
    pub(crate) rows: Vec<Value>,
    /// Made by something else than a first turn.
    pub(crate) precreated: bool,
    pub(crate) turns: u32,
    pub(crate) last_final: Option<Instant>,
    pub(crate) last_text: Option<(String, String)>,
}

/// A heartbeat monitor.
#[derive(Clone, Debug)]
pub(crate) struct Monitor {
    pub(crate) id: String,
    pub(crate) agent: String,
    pub(crate) enabled: bool,
    pub(crate) every_ms: u64,
    pub(crate) created_ms: u64,
    pub(crate) updated_ms: u64,
    pub(crate) scratch: Option<(String, u64)>,
    pub(crate) revision: u64,
}

/// Everything behind the lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) random: Random,
    pub(crate) boot_id: String,
    pub(crate) booted: Instant,
    pub(crate) token: Option<String>,
    pub(crate) door: Door,
    pub(crate) silent: bool,
    pub(crate) draining: bool,
    pub(crate) starting_until: Option<Instant>,
    pub(crate) unavailable_until: Option<Instant>,
    pub(crate) link: Link,
    pub(crate) conns: BTreeMap<u64, Conn>,
    pub(crate) next_conn: u64,
    pub(crate) seq: u64,
    pub(crate) presence_version: u64,
    /// Texts of `system-event`.
    pub(crate) said_of_itself: Vec<String>,
    pub(crate) health_version: u64,
    pub(crate) config: Value,
    pub(crate) config_revision: u64,
    /// The section that an included file holds.
    pub(crate) included: Option<String>,
    pub(crate) files: BTreeMap<(String, String), File>,
    pub(crate) files_busy: HashMap<(String, String), Instant>,
    /// Agents made a moment ago, not yet visible to `agents.update`.
    pub(crate) settling: HashMap<String, Instant>,
    pub(crate) sessions: BTreeMap<String, Session>,
    pub(crate) runs: BTreeMap<String, Run>,
    pub(crate) run_order: VecDeque<String>,
    pub(crate) interrupted: Vec<Run>,
    pub(crate) devices: Devices,
    pub(crate) monitors: Vec<Monitor>,
    pub(crate) writes: HashMap<(String, String), VecDeque<Instant>>,
    pub(crate) plan: ChatPlan,
    pub(crate) next_plans: VecDeque<ChatPlan>,
}

impl State {
    pub(crate) fn configure_agent(&mut self, profile: &Profile, id: &str, name: &str) {
        let agents = &mut self.config["agents"];
        if profile.roster_map {
            agents["entries"][id] = json!({"name": name});
            return;
        }
        match agents.get_mut("list").and_then(Value::as_array_mut) {
            Some(list) => list.push(json!({"id": id, "name": name})),
            None => agents["list"] = json!([{"id": "main"}, {"id": id, "name": name}]),
        }
    }

    pub(crate) fn new(profile: &Profile, seed: u64, token: Option<String>, now: Instant) -> Self {
        let mut random = Random::new(seed);
        let boot_id = random.uuid();
        let mut state = Self {
            random,
            boot_id,
            booted: now,
            token,
            door: Door::Open,
            silent: false,
            draining: false,
            starting_until: None,
            unavailable_until: None,
            link: Link::default(),
            conns: BTreeMap::new(),
            next_conn: 1,
            seq: 0,
            presence_version: 1,
            said_of_itself: Vec::new(),
            health_version: 1,
            config: first_config(profile),
            config_revision: 1,
            included: None,
            files: BTreeMap::new(),
            files_busy: HashMap::new(),
            settling: HashMap::new(),
            sessions: BTreeMap::new(),
            runs: BTreeMap::new(),
            run_order: VecDeque::new(),
            interrupted: Vec::new(),
            devices: Devices::default(),
            monitors: Vec::new(),
            writes: HashMap::new(),
            plan: ChatPlan::default(),
            next_plans: VecDeque::new(),
        };
        if profile.heartbeat_monitors {
            state.add_monitor("main", 0);
        }
        state
    }

    pub(crate) fn add_monitor(&mut self, agent: &str, now_ms: u64) -> Value {
        let monitor = Monitor {
            id: self.random.uuid(),
            agent: agent.to_owned(),
            enabled: false,
            every_ms: 1_800_000,
            created_ms: now_ms,
            updated_ms: now_ms,
            scratch: None,
            revision: 0,
        };
        let job = monitor.job();
        self.monitors.push(monitor);
        job
    }
}

impl Monitor {
    /// The job as `cron.list` and `cron` events show it.
    pub(crate) fn job(&self) -> Value {
        json!({
            "id": self.id,
            "declarationKey": format!("heartbeat:{}", self.agent),
            "displayName": format!("Heartbeat ({})", self.agent),
            "agentId": self.agent,
            "name": format!("heartbeat-{}", self.agent),
            "enabled": self.enabled,
            "createdAtMs": self.created_ms,
            "updatedAtMs": self.updated_ms,
            "schedule": {"kind": "every", "everyMs": self.every_ms, "anchorMs": 0},
            "sessionTarget": "main",
            "wakeMode": "next-heartbeat",
            "payload": {"kind": "heartbeat"},
            "state": {},
        })
    }
}

/// A small configuration of the kind that `config.get` shows, secrets replaced.
fn first_config(profile: &Profile) -> Value {
    let mut agents = json!({
        "defaults": {
            "model": {"primary": "fake/fake-1"},
            "workspace": "/srv/gateway/workspace",
            "skipBootstrap": true,
            "heartbeat": {"every": "0m"},
        },
    });
    if profile.roster_map {
        agents["entries"] = json!({"main": {}});
    }
    json!({
        "gateway": {"mode": "local", "bind": "loopback", "auth": {"mode": "token", "token": "__OPENCLAW_REDACTED__"}},
        "models": {"mode": "replace"},
        "agents": agents,
        "discovery": {"mdns": {"mode": "off"}},
        "update": {"checkOnStart": false},
        "meta": {"lastTouchedVersion": profile.release},
    })
}
