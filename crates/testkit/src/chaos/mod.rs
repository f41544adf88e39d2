//! A proxy between clients and any gateway, simulated or real, that injects faults.
//!
//! # Faults
//!
//! | | |
//! |---|---|
//! | at once | [`Cut`](Fault::Cut), [`Reset`](Fault::Reset), [`HalfOpen`](Fault::HalfOpen), [`Close`](Fault::Close) |
//! | lasting | [`Stall`](Fault::Stall), [`Latency`](Fault::Latency), [`Bandwidth`](Fault::Bandwidth), [`SlowReader`](Fault::SlowReader), [`Slice`](Fault::Slice), [`SkewClock`](Fault::SkewClock) |
//! | at the door | [`Door`]: refuse, hang, hang the upgrade, answer it with a status, fail TLS |
//! | on one frame | [`FrameFault`]: lose, truncate, tear, duplicate, reorder, corrupt, garbage, wrong and repeated ids, oversize, pings, padding, close |
//!
//! Faults are data, and several can hold at once: latency, sliced frames, and a truncated third answer. A test applies them
//! ([`ChaosProxy::apply`]), plays a [`Schedule`], or draws [`RandomFaults`] from a seed. In each case,
//! [`log`](ChaosProxy::log) has all actions and observations with their times. Two runs in virtual time have equal logs.
//!
//! # In virtual time
//!
//! ```
//! use std::time::Duration;
//! use windlass_testkit::SimGateway;
//! use windlass_testkit::chaos::{ChaosProxy, Direction, Fault, FrameFault, LogEvent, Schedule, Which};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> std::io::Result<()> {
//! let sim = SimGateway::builder().start_pipe();
//! let proxy = ChaosProxy::pipe(move || {
//!     let sim = sim.clone();
//!     async move { sim.dial().await }
//! });
//! let client = proxy.dial().await?; // give this to `tokio_tungstenite::client_async`
//!
//! proxy.arm(FrameFault::Truncate.next().of(Which::Responses).nth(3));
//! let schedule = Schedule::default()
//!     .during(Duration::from_secs(1), Duration::from_secs(5), Fault::Stall(Direction::ToClient))
//!     .at(Duration::from_secs(9), Fault::Cut);
//! proxy.play(&schedule).await;
//! for entry in proxy.log() {
//!     println!("{entry}");
//! }
//! assert!(proxy.log().iter().any(|entry| entry.at == Duration::from_secs(9)));
//! # drop(client);
//! # Ok(()) }
//! ```
//!
//! # In front of a real gateway
//!
//! ```no_run
//! use std::time::Duration;
//! use windlass_testkit::chaos::{ChaosProxy, FaultKind, RandomFaults, Schedule};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let proxy = ChaosProxy::tcp("127.0.0.1:18789".parse().expect("an address")).await?;
//! println!("point your client at {}", proxy.url());
//! let storm = RandomFaults::new(7).every(Duration::from_secs(2)).of(FaultKind::NETWORK);
//! proxy.play(&Schedule::by_chance(storm, Duration::from_secs(600))).await;
//! # Ok(()) }
//! ```
//!
//! `windlass chaos` does this on the command line.
//!
//! # Limits
//!
//! The proxy reads frames in a `ws://` stream, after the upgrade, up to 64 MiB each. Other streams (TLS that the client speaks
//! itself, for example) pass, and faults of frames have no effect on them. Fragmented messages and control frames pass
//! unchanged. The proxy removes `Sec-WebSocket-Extensions` from requests, because it cannot read compressed frames.

mod builder;
mod conn;
mod core;
mod door;
mod fault;
mod frame;
mod log;
mod proxy;
mod random;
mod schedule;

pub use self::builder::ChaosProxyBuilder;
pub use self::core::Traffic;
pub use self::door::Door;
pub use self::fault::Fault;
pub use self::frame::{FrameFault, FrameRule, Pick, Which};
pub use self::log::{LOG_LIMIT, LogEntry, LogEvent, LogPage};
pub use self::proxy::ChaosProxy;
pub use self::random::{Chance, FaultKind, RandomFaults, UnknownFault};
pub use self::schedule::Schedule;

pub use crate::net::link::Direction;
