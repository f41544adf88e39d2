//! One turn per session at a time.
//!
//! A second message while a run goes on joins that run on all releases, and its own run ends bare: its sender
//! would get another answer. So the messages of this process wait for each other, in whichever spelling they name their session.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use tokio::sync::{Mutex, OwnedMutexGuard};
use windlass_protocol::{GatewayId, SessionKey};

use windlass_line::Line;

/// A session, wherever it is, by the [identity](windlass_protocol::SessionSpellings::identity) of its key.
type SessionIdentity = (GatewayId, Box<str>);

/// The locks of the sessions in use. A lock lives as long as it is held or waited for.
#[derive(Debug, Default)]
pub(super) struct SessionLocks(RefCell<HashMap<SessionIdentity, Weak<Mutex<()>>>>);

/// The right to the next turn of a session.
#[derive(Debug)]
pub(super) struct SessionPermit {
    identity: Box<str>,
    _lane: OwnedMutexGuard<()>,
    /// The lock of the session's own spelling, once its gateway was met.
    respelled: Option<Box<Self>>,
}

impl SessionLocks {
    /// At this many locks the unused ones are removed.
    const SWEEP_AT: usize = 256;

    /// Takes a place in the queue for the session now; the future waits for the permit.
    pub(super) fn queue(&self, line: &Line, session: &SessionKey) -> LocalBoxFuture<'static, SessionPermit> {
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
    pub(super) async fn respell(&self, turn: &mut SessionPermit, line: &Line, session: &SessionKey) {
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
