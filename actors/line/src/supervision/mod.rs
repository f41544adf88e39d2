//! Supervision: what starts connections, learns of every end of theirs, and decides what comes next.
//!
//! actix's own supervisor neither restarts after a panic nor waits between restarts, so this is ours: a connection's
//! actor is started from its line's spec as a task that is joined, and its end (asked for, failed, refused, panicked)
//! goes through one decision.
//!
//! What is no line is kept in simpler ways: an actor that only takes orders ([`serve`]) is replaced at once, since it can't
//! fail more often than it is asked; what runs by itself ([`keep_running`]) rests first. docs/supervision.md has the table.

mod context;
mod decision;
mod intensity;
mod known;
mod panic;
mod running;
mod supervisor;
#[cfg(test)]
mod tests;

pub(crate) use context::{LineContext, MachineContext};
pub(crate) use intensity::Intensity;
pub use intensity::IntensityPolicy;
pub(crate) use known::KnownFeatures;
pub use panic::{Panic, Rest, Restarts, guarded, keep_running};
pub(crate) use running::Running;
pub use running::{Tasks, WeakTasks, serve};
pub(crate) use supervisor::{Begin, LineCommand, supervise};
