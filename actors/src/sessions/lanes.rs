//! One turn per session at a time.
//!
//! A second message while a run goes on joins that run on all releases, and its own run ends bare: who waits for an answer
//! would get another's. So the messages of this process wait for each other.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use tokio::sync::{Mutex, OwnedMutexGuard};
use windlass_protocol::{GatewayId, SessionKey};

/// A session, wherever it is.
type Place = (GatewayId, SessionKey);

/// Lanes of sessions that are in use. A lane lives as long as somebody holds or wants it.
#[derive(Debug, Default)]
pub(super) struct Lanes(RefCell<HashMap<Place, Weak<Mutex<()>>>>);

/// The right to the next turn.
pub(super) type Turn = OwnedMutexGuard<()>;

impl Lanes {
    /// Lanes at which those that nobody uses any more are looked for.
    const SWEEP_AT: usize = 256;

    /// A place in the line for the next turn, taken now, to be waited for.
    pub(super) fn queue(&self, gateway: &GatewayId, session: &SessionKey) -> LocalBoxFuture<'static, Turn> {
        let mut turn = self.lane(gateway, session).lock_owned().boxed_local();
        // A lock queues whoever asks for it when it is polled first.
        match (&mut turn).now_or_never() {
            Some(turn) => std::future::ready(turn).boxed_local(),
            None => turn,
        }
    }

    fn lane(&self, gateway: &GatewayId, session: &SessionKey) -> Arc<Mutex<()>> {
        let mut lanes = self.0.borrow_mut();
        if lanes.len() >= Self::SWEEP_AT {
            lanes.retain(|_, lane| lane.strong_count() > 0);
        }
        let place = (gateway.clone(), session.clone());
        if let Some(lane) = lanes.get(&place).and_then(Weak::upgrade) {
            return lane;
        }
        let lane = Arc::new(Mutex::new(()));
        lanes.insert(place, Arc::downgrade(&lane));
        lane
    }
}
