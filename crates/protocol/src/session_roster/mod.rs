//! The sessions of one gateway and their active runs, kept up to date from `sessions.list` and events.
//!
//! [`SessionRoster`] takes snapshots and deltas in the order in which they came, and says the same as a fresh `sessions.list` would
//! say, or knows that it may not: then [`SessionRoster::stale`] tells why, and a fresh list repairs it. Pure: no IO, no clock.
//!
//! Rules of the wire that it goes by:
//! - a `sessions.changed` event with a row replaces the row (2026.9.6); one without a row, or without a session, only says that
//!   a fresh list is needed;
//! - `sessions.list` and events carry the gateway's clock, so that an event that was on its way while a list was made is not
//!   applied twice, nor lost;
//! - generation 3 up to 2026.3 sends no `sessions.changed`: there runs begin and end by `chat` and `agent` events, and the end of
//!   a run means that its session's row changed;
//! - after a run's end some of its events still come (`lifecycle` `model`, 2026.9.6): only a begin begins.

mod runs;
mod view;

pub use runs::RUNS_KEPT;
pub use view::{RosterEntry, RosterPage, SESSIONS_KEPT, SessionRoster, Stale};
