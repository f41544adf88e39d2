//! The tables that the session manager and its messages' tasks share: messages under way by their keys, and one turn per session at
//! a time.
//!
//! A second message while a run goes on joins that run on all releases, and its own run ends bare: its sender
//! would get another answer. So the messages of this process wait for each other, in whichever spelling they name their session.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, mpsc};
use windlass_line::Line;
use windlass_line::clock::Clock;
use windlass_protocol::run::GatewayFacts;
use windlass_protocol::{AgentId, GatewayId, SessionKey, agent_id_of};

use crate::message::MessageFollower;
use crate::outbox::Outbox;

/// Most messages under way at a time, those that wait for their session's turn included: each holds its text, and those with
/// a turn a queue of events.
pub const IN_FLIGHT_LIMIT: usize = 10_000;
/// Notes that may wait for a message that waits for its turn.
const NOTES: usize = 64;

/// Something that a message under way is told from elsewhere.
#[derive(Debug)]
pub(crate) enum ControlMessage {
    /// Somebody else wants to follow it.
    Join(MessageFollower),
    /// Its session was reset or deleted by us.
    Replaced,
}

/// What was reset or deleted on a gateway.
#[derive(Debug, Clone)]
pub(crate) enum Replaced {
    /// A session.
    Session(SessionKey),
    /// An agent, and with it all its sessions.
    Agent(AgentId),
}

#[derive(Debug)]
struct InFlightMessage {
    gateway: GatewayId,
    session: SessionKey,
    notes: mpsc::Sender<ControlMessage>,
}

/// The messages under way of one session manager.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlightMessages {
    messages: Rc<RefCell<HashMap<String, InFlightMessage>>>,
    /// Notified when one of them is over.
    left: Rc<Notify>,
}

/// A message's place among them, given up when this is dropped.
#[derive(Debug)]
pub(crate) struct InFlightGuard {
    all: InFlightMessages,
    pub(crate) key: String,
    pub(crate) notes: mpsc::Receiver<ControlMessage>,
}

impl InFlightMessages {
    pub(crate) fn len(&self) -> usize {
        self.messages.borrow().len()
    }

    /// Whether a message of this key is under way.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.messages.borrow().contains_key(key)
    }

    /// Takes a place; nothing when the key has one already.
    pub(crate) fn enter(&self, key: String, gateway: &GatewayId, session: &SessionKey) -> Option<InFlightGuard> {
        let mut all = self.messages.borrow_mut();
        if all.contains_key(&key) {
            return None;
        }
        let (sender, notes) = mpsc::channel(NOTES);
        let entry = InFlightMessage {
            gateway: gateway.clone(),
            session: session.clone(),
            notes: sender,
        };
        all.insert(key.clone(), entry);
        drop(all);
        Some(InFlightGuard {
            all: self.clone(),
            key,
            notes,
        })
    }

    /// Waits until no message of this key is under way.
    pub(crate) async fn left(&self, key: &str) {
        loop {
            let left = self.left.notified();
            if !self.has(key) {
                return;
            }
            left.await;
        }
    }

    /// Has somebody else follow a message, from its text so far. `false` when there is none, or too many follow it.
    pub(crate) fn join(&self, key: &str, follower: MessageFollower) -> bool {
        let all = self.messages.borrow();
        all.get(key)
            .is_some_and(|entry| entry.notes.try_send(ControlMessage::Join(follower)).is_ok())
    }

    /// Tells the messages in a session, or in all sessions of an agent, that it was reset or deleted.
    pub(crate) fn replaced(&self, line: &Line, replaced: &Replaced) {
        let all = self.messages.borrow();
        let space = line.status().borrow().key_space();
        let is_in = |key: &SessionKey| match replaced {
            Replaced::Session(session) => {
                space.spellings(key.as_str()).identity() == space.spellings(session.as_str()).identity()
            }
            Replaced::Agent(agent) => agent_id_of(space.spellings(key.as_str()).canonical()) == Some(agent.as_str()),
        };
        let there = all
            .values()
            .filter(|entry| entry.gateway == *line.id() && is_in(&entry.session));
        for entry in there {
            // One whose notes overflow waits for its turn, and so has nothing in the session.
            let _ = entry.notes.try_send(ControlMessage::Replaced);
        }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.all.messages.borrow_mut().remove(&self.key);
        self.all.left.notify_waiters();
    }
}

/// A session, wherever it is, by the [identity](windlass_protocol::SessionSpellings::identity) of its key.
type SessionIdentity = (GatewayId, Box<str>);

/// The locks of the sessions in use. A lock lives as long as it is held or waited for.
#[derive(Debug, Default)]
pub(crate) struct SessionLocks(RefCell<HashMap<SessionIdentity, Weak<Mutex<()>>>>);

/// The right to the next turn of a session.
#[derive(Debug)]
pub(crate) struct SessionPermit {
    identity: Box<str>,
    _lane: OwnedMutexGuard<()>,
    /// The lock of the session's own spelling, once its gateway was met.
    respelled: Option<Box<Self>>,
}

impl SessionLocks {
    /// At this many locks the unused ones are removed.
    const SWEEP_AT: usize = 256;

    /// Takes a place in the queue for the session now; the future waits for the permit.
    pub(crate) fn queue(&self, line: &Line, session: &SessionKey) -> LocalBoxFuture<'static, SessionPermit> {
        let identity = identity(line, session);
        let mut wait = self.lane(line.id(), &identity).lock_owned().boxed_local();
        let turn = |held| SessionPermit {
            identity,
            _lane: held,
            respelled: None,
        };
        // A lock queues its waiters when they are polled first.
        match (&mut wait).now_or_never() {
            Some(held) => std::future::ready(turn(held)).boxed_local(),
            None => wait.map(turn).boxed_local(),
        }
    }

    /// Waits for the lock of the session's spelling on the gateway that was met now, where it differs from the permit's. A message that
    /// waits here holds the lock of an older spelling; no holder of the new one waits for that.
    pub(crate) async fn respell(&self, turn: &mut SessionPermit, line: &Line, session: &SessionKey) {
        let now = identity(line, session);
        let held = turn.respelled.as_deref().unwrap_or(turn);
        if held.identity != now {
            turn.respelled = None;
            turn.respelled = Some(Box::new(self.queue(line, session).await));
        }
    }

    fn lane(&self, gateway: &GatewayId, identity: &str) -> Arc<Mutex<()>> {
        let mut session_locks = self.0.borrow_mut();
        if session_locks.len() >= Self::SWEEP_AT {
            session_locks.retain(|_, lane| lane.strong_count() > 0);
        }
        let place = (gateway.clone(), identity.into());
        if let Some(lane) = session_locks.get(&place).and_then(Weak::upgrade) {
            return lane;
        }
        let lane = Arc::new(Mutex::new(()));
        session_locks.insert(place, Arc::downgrade(&lane));
        lane
    }
}

fn identity(line: &Line, session: &SessionKey) -> Box<str> {
    let space = line.status().borrow().key_space();
    space.spellings(session.as_str()).identity().into()
}

/// The tables of a [`SessionManager`](crate::SessionManager), which its messages' tasks share with it.
pub(crate) struct State {
    pub(crate) outbox: Option<Outbox>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) session_locks: SessionLocks,
    pub(crate) in_flight: InFlightMessages,
    /// For each gateway: the facts by its hello-ok, and the facts by its behaviour.
    facts: RefCell<HashMap<GatewayId, (GatewayFacts, GatewayFacts)>>,
}

impl State {
    pub(crate) fn new(outbox: Option<Outbox>, clock: Arc<dyn Clock>) -> Self {
        Self {
            outbox,
            clock,
            session_locks: SessionLocks::default(),
            in_flight: InFlightMessages::default(),
            facts: RefCell::default(),
        }
    }

    /// The facts of a gateway; the learned ones are forgotten when it becomes another release.
    pub(crate) fn facts(&self, gateway: &GatewayId, fresh: GatewayFacts) -> GatewayFacts {
        let mut known = self.facts.borrow_mut();
        let entry = known.entry(gateway.clone()).or_insert((fresh, fresh));
        if entry.0 != fresh {
            *entry = (fresh, fresh);
        }
        entry.1
    }

    pub(crate) fn learned(&self, gateway: &GatewayId, facts: GatewayFacts) {
        if let Some(entry) = self.facts.borrow_mut().get_mut(gateway) {
            entry.1 = facts;
        }
    }
}
