//! Supervision: what starts connections, learns of every end of theirs, and decides what comes next.
//!
//! actix's own supervisor neither restarts after a panic nor waits between restarts, so this is ours: a connection's
//! actor is started from its line's spec as a task that is joined, and its end (asked for, failed, refused, panicked)
//! goes through one decision.

mod context;
mod decision;
mod intensity;
mod known;
mod supervisor;

pub(crate) use context::{LineContext, MachineContext};
pub(crate) use intensity::Intensity;
pub use intensity::IntensityPolicy;
pub(crate) use known::KnownFeatures;
pub(crate) use supervisor::{LineCommand, supervise};
