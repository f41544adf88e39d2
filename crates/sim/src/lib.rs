//! The whole of Windlass in worlds made from seeds.
//!
//! ```text
//!   seed ──▶ World (drawn before anything runs) ──▶ play ──▶ Played: what is broken, and the trace
//!                 gateways, work, storm              │
//!                                                    └ one thread, virtual time: Windlass ── proxy ── simulated gateway
//! ```
//!
//! | where | what |
//! |---|---|
//! | `world` | what a run is made of: gateways and their releases, who works at what, which storm comes |
//! | `site` | one gateway of a run, the proxy before it, and the line to it |
//! | `cast` | those who call, speak, read and provision, and what they write down |
//! | `play` | one run, from setting up to striking |
//! | `oracle` | the promises, one file each |
//! | `trace`, `records` | what happened, line by line |
//! | [`campaign`], [`progress`] | many seeds, and how far they are |
//! | [`soak`] | many days of a light load: what may not grow |
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
pub use play::{Detail, Played, play};
pub use tally::Tally;
pub use trace::{Line, Trace};
pub use world::World;
