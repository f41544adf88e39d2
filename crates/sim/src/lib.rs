//! Runs the whole of Windlass in worlds that are made from seeds.
//!
//! ```text
//!   seed ──▶ World (drawn before anything runs) ──▶ play ──▶ Played: the broken guarantees, and the trace
//!                 gateways, work, faults             │
//!                                                    └ one thread, virtual time: Windlass ── proxy ── simulated gateway
//! ```
//!
//! | module | contents |
//! |---|---|
//! | `world` | the parts of a run: gateways and their releases, the work of the users, the faults |
//! | `site` | one gateway of a run, the proxy in front of it, and the line to it |
//! | `cast` | callers, senders, subscribers and provisioners, and their records |
//! | `play` | one run, from its setup to its end |
//! | `oracle` | the guarantees, one file each |
//! | `trace`, `records` | the steps of a run, line by line |
//! | [`campaign`], [`progress`] | many seeds, and their progress |
//! | [`soak`] | many days of a light load: memory and records must not grow |
//! | [`cli`] | the command line |

#![expect(
    clippy::expect_used,
    reason = "a world that can't be set up is a bug of this program, and told as one"
)]

pub mod campaign;
mod cast;
pub mod cli;
mod clock;
mod dice;
mod oracle;
mod panics;
mod play;
pub mod progress;
mod records;
mod site;
pub mod soak;
mod tally;
mod trace;
mod world;

pub use oracle::{Broken, Promise};
pub use play::{Detail, WorldResult, play};
pub use tally::Tally;
pub use trace::{Line, Trace};
pub use world::World;
