//! What the simulation promises of itself: runs repeat, campaigns are continued, and seeds that broke something stay mended.

mod command;
mod repeat;
mod seeds;
mod soak;
