//! Measures Windlass against its peers and its limits.
//!
//! ```text
//!   rpc, events, scale    what is compared, each in processes of their own
//!   peers                 the clients in Rust          clients/   those in other languages
//!   gateway               a stand-in that is never the bottleneck
//!   load                  one window of load           machine    time, CPU, memory, limits
//!   probe                 what tests/guards.rs looks at: counts that no clock has a say in
//!   report                table, JSON, picture
//! ```
//!
//! See docs/performance.md for how to run it and for what it showed.

pub mod allocations;
mod cli;
pub mod events;
pub mod gateway;
pub mod load;
pub mod machine;
#[cfg(feature = "metrics")]
mod observe;
pub mod peers;
pub mod probe;
pub mod report;
pub mod rpc;
pub mod scale;

pub use cli::main;
