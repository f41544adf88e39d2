//! What the simulation promises of itself: runs repeat, campaigns are continued, and seeds that broke something stay mended.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod repeat;
mod seeds;
mod soak;
