//! The tests: each gets an empty store.

pub(super) mod activities;
pub(super) mod agents;
pub(super) mod check_in;
pub(super) mod journal;
pub(super) mod limits;
pub(super) mod records;
pub(super) mod resolving;
pub(super) mod retention;
pub(super) mod runs;
pub(super) mod secrets;
pub(super) mod sends;
pub(super) mod service;
mod world;
