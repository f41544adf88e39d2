//! Measures Windlass against its peers and its limits.
//!
//! ```text
//!   rpc, events, scale    the comparisons, each in separate processes
//!   peers                 the clients in Rust          clients/   those in other languages
//!   gateway               a stand-in that is never the bottleneck
//!   load                  one window of load           machine    time, CPU, memory, limits
//!   probe                 the counts that tests/guards.rs checks; they depend on no clock
//!   report                table, JSON, picture
//! ```
//!
//! docs/performance.md describes how to run it, and its results.

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
