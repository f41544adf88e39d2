//! The tables that the session manager and its messages' tasks share.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use windlass_line::clock::Clock;
use windlass_protocol::GatewayId;
use windlass_protocol::run::GatewayFacts;

use super::in_flight::InFlightMessages;
use super::outbox::Outbox;
use super::session_locks::SessionLocks;

/// The tables of a [`SessionManager`](crate::SessionManager), which its messages' tasks share with it.
pub(crate) struct State {
    pub(super) outbox: Option<Outbox>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) session_locks: SessionLocks,
    pub(super) in_flight: InFlightMessages,
    /// For each gateway: the facts by its hello-ok, and the facts by its behaviour.
    facts: RefCell<HashMap<GatewayId, (GatewayFacts, GatewayFacts)>>,
}

impl State {
    pub(super) fn new(outbox: Option<Outbox>, clock: Arc<dyn Clock>) -> Self {
        Self {
            outbox,
            clock,
            session_locks: SessionLocks::default(),
            in_flight: InFlightMessages::default(),
            facts: RefCell::default(),
        }
    }

    /// The facts of a gateway; the learned ones are forgotten when it becomes another release.
    pub(super) fn facts(&self, gateway: &GatewayId, fresh: GatewayFacts) -> GatewayFacts {
        let mut known = self.facts.borrow_mut();
        let entry = known.entry(gateway.clone()).or_insert((fresh, fresh));
        if entry.0 != fresh {
            *entry = (fresh, fresh);
        }
        entry.1
    }

    pub(super) fn learned(&self, gateway: &GatewayId, facts: GatewayFacts) {
        if let Some(entry) = self.facts.borrow_mut().get_mut(gateway) {
            entry.1 = facts;
        }
    }
}
