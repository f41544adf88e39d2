//! Messages that are under way, by their keys.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tokio::sync::{Notify, mpsc};
use windlass_protocol::{AgentId, GatewayId, SessionKey, agent_id_of};

use super::message::ProgressSender;
use windlass_line::Line;

/// Most messages under way at a time, those that wait for their session's turn included: each holds its text, and those with
/// a turn a queue of events.
pub const IN_FLIGHT_LIMIT: usize = 10_000;
/// Notes that may wait for a message that waits for its turn.
const NOTES: usize = 64;

/// Something that a message under way is told from elsewhere.
#[derive(Debug)]
pub(super) enum ControlMessage {
    /// Somebody else wants to follow it.
    Join(ProgressSender),
    /// Its session was reset or deleted by us.
    Replaced,
}

/// What was reset or deleted on a gateway.
#[derive(Debug, Clone)]
pub(super) enum Replaced {
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
pub(super) struct InFlightMessages {
    messages: Rc<RefCell<HashMap<String, InFlightMessage>>>,
    /// Notified when one of them is over.
    left: Rc<Notify>,
}

/// A message's place among them, given up when this is dropped.
#[derive(Debug)]
pub(super) struct InFlightGuard {
    all: InFlightMessages,
    pub(super) key: String,
    pub(super) notes: mpsc::Receiver<ControlMessage>,
}

impl InFlightMessages {
    pub(super) fn len(&self) -> usize {
        self.messages.borrow().len()
    }

    /// Whether a message of this key is under way.
    pub(super) fn has(&self, key: &str) -> bool {
        self.messages.borrow().contains_key(key)
    }

    /// Takes a place; nothing when the key has one already.
    pub(super) fn enter(&self, key: String, gateway: &GatewayId, session: &SessionKey) -> Option<InFlightGuard> {
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
    pub(super) async fn left(&self, key: &str) {
        loop {
            let left = self.left.notified();
            if !self.has(key) {
                return;
            }
            left.await;
        }
    }

    /// Has somebody else follow a message, from its text so far. `false` when there is none, or too many follow it.
    pub(super) fn join(&self, key: &str, follower: ProgressSender) -> bool {
        let all = self.messages.borrow();
        all.get(key)
            .is_some_and(|entry| entry.notes.try_send(ControlMessage::Join(follower)).is_ok())
    }

    /// Tells the messages in a session, or in all sessions of an agent, that it was reset or deleted.
    pub(super) fn replaced(&self, line: &Line, replaced: &Replaced) {
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
