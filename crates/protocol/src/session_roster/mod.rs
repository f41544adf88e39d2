//! The sessions of one gateway and their active runs, kept up to date from `sessions.list` and events.
//!
//! [`SessionRoster`] takes snapshots and deltas in the order in which they came, and ends up with what a fresh `sessions.list`
//! would say, or knows that it does not: then [`SessionRoster::stale`] says why, and a fresh list repairs it. Pure: no IO, no
//! clock.

mod roster;
mod runs;

pub use roster::{RosterEntry, RosterPage, SESSIONS_KEPT, SessionRoster, Stale};
pub use runs::RUNS_KEPT;
