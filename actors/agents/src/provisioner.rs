//! The provisioner: agents, from a record in the store to a woken agent on a gateway.
//!
//! ```text
//!   Provisioner             actor: a task for each operation; takes up what was cut off; watches deadlines and events
//!      └─ gateways          agents by gateway, gateways side by side
//!         └─ fleet          the agents of a gateway: one write of the configuration for all
//!            └─ saga        one agent's run, each step on record
//! ```
//!
//! Everything is a comparison of the wanted state (records and templates) with the gateway (configuration, files, sessions):
//! only differences are written. A deed that leaves no trace on the gateway is a step on record.

mod activity;
mod actor;
mod content;
mod context;
mod ensure;
mod file_plan;
mod fleet;
mod forget;
mod gateways;
mod housekeeping;
mod job;
mod lifecycle;
mod preview;
mod progress;
mod reconcile;
mod records;
mod report;
mod request;
mod saga;
mod sync;
#[cfg(test)]
pub(crate) mod tests;

pub use activity::ACTIVITY;
pub use actor::{PlanError, Provisioner, ProvisionerHandle};
pub use context::{AGENTS_AT_A_TIME, Fleet, Keep, ProvisionerParts, ProvisionerSettings};
pub use ensure::{Ensure, EnsureError, Ensured, LEAD_NAME};
pub use file_plan::{FileAction, FilePlan};
pub use lifecycle::{CHECK_IN_WINDOW, WAKES};
pub use preview::AgentPlan;
pub use progress::{Interrupted, Operation, Progress};
pub use report::{AgentReport, Changes, Failure, FleetReport, GatewayFailure};
pub use request::{Job, RunOptions, SyncOptions, TokenRule, Wake};
