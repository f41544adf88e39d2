//! What SQLite must bear: kills, other processes, a full disk, damage, other versions.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cancelled;
mod child;
mod damaged;
mod full;
mod journal;
mod journal_file;
mod killed;
mod locked;
mod owned;
mod sends;
mod world;
