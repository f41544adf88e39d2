//! A gateway's configuration, as far as agents need it: read the roster, plan one patch for many agents, and leave out
//! members that the gateway's own schema does not accept.
//!
//! Pure: the read configuration goes in, the patch to send comes out. Gateways of 2026 differ in two things here (all nine
//! measured releases): the roster is an array `agents.list` up to 2026.7 and a map `agents.entries` from 2026.8 on, and
//! an array in a patch replaces the old one on 2026.1.30 and is merged by `id` since. A patch that holds the whole array
//! with whole entries comes out the same on both.

mod budget;
mod halves;
mod plan;
mod roster;
mod schema;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

pub use budget::{LONGEST_WAIT, WriteBudget, WriteLimit};
pub use halves::{patch_text, read_config};
pub use plan::{ConfigPlan, ConfigSnapshot, PlanError, PlanOptions, plan, plan_removal};
pub use roster::{HeartbeatEntry, Roster, RosterAgent, RosterForm};
pub use schema::{Acceptance, ConfigSchema};

/// The heartbeat of an agent that says nothing else: every ten minutes, to where it was last spoken to.
pub fn default_heartbeat() -> Map<String, Value> {
    let mut heartbeat = Map::new();
    heartbeat.insert("every".into(), json!("10m"));
    heartbeat.insert("target".into(), json!("last"));
    heartbeat.insert("includeReasoning".into(), json!(false));
    heartbeat
}
