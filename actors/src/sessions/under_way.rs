//! Messages that are under way, by their keys.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tokio::sync::mpsc;
use windlass_protocol::{GatewayId, SessionKey};

use super::message::Follower;
use crate::Line;

/// Most messages under way at a time, those that wait for their session's turn included: each holds its text, and those with
/// a turn a queue of events.
pub const UNDER_WAY_LIMIT: usize = 10_000;
/// Notes that may wait for a message that waits for its turn.
const NOTES: usize = 64;

/// Something that a message under way is told from elsewhere.
#[derive(Debug)]
pub(super) enum Note {
    /// Somebody else wants to follow it.
    Join(Follower),
    /// Its session was reset or deleted by us.
    Replaced,
}

#[derive(Debug)]
struct Entry {
    gateway: GatewayId,
    session: SessionKey,
    notes: mpsc::Sender<Note>,
}

/// The messages under way of one session manager.
#[derive(Debug, Clone, Default)]
pub(super) struct UnderWay(Rc<RefCell<HashMap<String, Entry>>>);

/// A message's place among them, given up when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    all: UnderWay,
    pub(super) key: String,
    pub(super) notes: mpsc::Receiver<Note>,
}

impl UnderWay {
    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether a message of this key is under way.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.borrow().contains_key(key)
    }

    /// Takes a place; nothing when the key has one already.
    pub(super) fn enter(&self, key: String, gateway: &GatewayId, session: &SessionKey) -> Option<Place> {
        let mut all = self.0.borrow_mut();
        if all.contains_key(&key) {
            return None;
        }
        let (sender, notes) = mpsc::channel(NOTES);
        let entry = Entry {
            gateway: gateway.clone(),
            session: session.clone(),
            notes: sender,
        };
        all.insert(key.clone(), entry);
        drop(all);
        Some(Place {
            all: self.clone(),
            key,
            notes,
        })
    }

    /// Has somebody else follow a message, from its text so far. `false` when there is none, or too many follow it.
    pub(super) fn join(&self, key: &str, follower: Follower) -> bool {
        let all = self.0.borrow();
        all.get(key)
            .is_some_and(|entry| entry.notes.try_send(Note::Join(follower)).is_ok())
    }

    /// Tells the messages of a session that it was reset or deleted.
    pub(super) fn replaced(&self, line: &Line, session: &SessionKey) {
        let all = self.0.borrow();
        let space = line.status().borrow().key_space();
        let identity = |key: &SessionKey| space.spellings(key.as_str()).identity().to_owned();
        let replaced = identity(session);
        let is_there = |entry: &&Entry| entry.gateway == *line.id() && identity(&entry.session) == replaced;
        let there = all.values().filter(is_there);
        for entry in there {
            // One whose notes overflow waits for its turn, and so has nothing in the session.
            let _ = entry.notes.try_send(Note::Replaced);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.0.borrow_mut().remove(&self.key);
    }
}
