//! Supervision: starts connections, learns of each of their ends, and decides the next step.
//!
//! actix's own supervisor neither restarts after a panic nor waits between restarts, so this is ours: a connection's
//! actor is started from its line's spec as a task that is joined, and its end (asked for, failed, refused, panicked)
//! goes through one decision.
//!
//! Other parts are kept in simpler ways: an actor that only takes messages outlives the panics of its handlers
//! ([`SurvivesPanics`]); a task that runs by itself ([`keep_running`]) is restarted after a rest. docs/supervision.md has the
//! table.

mod commands;
mod context;
mod decision;
mod intensity;
mod known;
mod mailbox;
mod panic;
mod running;
mod supervisor;
#[cfg(test)]
mod tests;

pub(crate) use commands::{LineCommand, LineCommands, LineControl};
pub(crate) use context::{LineContext, ShardContext};
pub(crate) use intensity::Intensity;
pub use intensity::IntensityPolicy;
pub(crate) use known::KnownFeatures;
pub use mailbox::{Answer, SurvivesPanics, Unstarted};
pub use panic::{Panic, Rest, Restarts, guarded, keep_running};
pub(crate) use running::Running;
pub use running::{Tasks, WeakTasks};
pub(crate) use supervisor::{Begin, supervise};
