//! One turn per session at a time.
//!
//! A second message while a run goes on joins that run on all releases, and its own run ends bare: who waits for an answer
//! would get another's. So the messages of this process wait for each other.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

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

    /// Waits for the turn, in order of asking.
    pub(super) async fn turn(&self, gateway: &GatewayId, session: &SessionKey) -> Turn {
        self.lane(gateway, session).lock_owned().await
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
