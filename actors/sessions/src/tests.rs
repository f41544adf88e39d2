//! The session manager and the feed of rosters under supervision: the cells of docs/supervision.md that need a panic in a chosen
//! place.

mod bench;
mod messages;
mod session_cache;
