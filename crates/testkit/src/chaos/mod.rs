//! A proxy between a client and any gateway, simulated or real, that breaks the connection on demand.
//!
//! It sits on bytes and knows nothing of frames: [`cut`](ChaosProxy::cut), [`reset`](ChaosProxy::reset),
//! [`stall`](ChaosProxy::stall), [`delay`](ChaosProxy::delay), [`half_open`](ChaosProxy::half_open),
//! [`refuse`](ChaosProxy::refuse). A test calls them, or plays a [`Schedule`] that a seed made; either way
//! [`log`](ChaosProxy::log) says what was done and when.
//!
//! ```
//! use windlass_testkit::SimGateway;
//! use windlass_testkit::chaos::{ChaosProxy, Schedule};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let sim = SimGateway::builder().start_tcp().await?;
//! let proxy = ChaosProxy::tcp(sim.address().expect("TCP")).await?;
//! // Point the client at `proxy.url()`.
//! proxy.cut();
//! println!("{:?}", proxy.log());
//!
//! // Over pipes, for virtual time:
//! let sim = SimGateway::builder().start_pipe();
//! let proxy = ChaosProxy::pipe(move || {
//!     let sim = sim.clone();
//!     async move { sim.dial().await }
//! });
//! let stream = proxy.dial().await?;
//! # drop(stream);
//! # Ok(()) }
//! ```

mod proxy;
mod schedule;

pub use proxy::{ChaosProxy, LogEntry};
pub use schedule::{Fault, Schedule};

pub use crate::net::link::Direction;
