//! A simulated OpenClaw gateway and a chaos proxy, for our tests and for yours.
//!
//! [`SimGateway`] speaks the gateway's wire protocol as nine releases of 2026 were measured to speak it: the
//! handshake with all its refusals, requests, chat runs with their events, restarts, limits, oddities. A test tells
//! it which release to be, what to answer and when to break, and afterwards asks it what it saw and did.
//!
//! It runs on a real TCP port or over in-memory pipes, in real time or under tokio's paused clock. It builds its
//! frames from plain JSON and knows nothing of Windlass's own protocol types: what the two agree on, they agree on
//! for two independent reasons.
//!
//! # A first test
//!
//! ```
//! use serde_json::json;
//! use windlass_testkit::{Generation, RestartKind, SimGateway};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sim = SimGateway::builder().generation(Generation::V4).token("secret").start_tcp().await?;
//!
//! // Point the client under test at `sim.url()`, then make its life hard:
//! sim.script().once().drop_connection_before_answer("chat.send");
//! sim.restart(RestartKind::Clean);
//! sim.emit("tick", json!({"ts": 1}));
//!
//! // Ask what happened. `wait_for` sleeps until the journal says so, it does not poll.
//! sim.wait_for(|journal| journal.hellos() == 0).await?;
//! assert_eq!(sim.journal().runs_of("exactly once, please"), 0);
//! sim.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! # Which release
//!
//! [`SimGatewayBuilder::release`] takes one of [`RELEASES`], [`SimGatewayBuilder::generation`] the one that stands
//! for a protocol generation. What releases do differently is data: a [`Profile`], all of whose fields can be changed
//! with [`SimGatewayBuilder::profile`].
//!
//! # What can be made to happen
//!
//! | on one request | [`Script`]: reply, fail, delay, hold, never answer, cut before or after execution, wrong ids; stop at the n-th |
//! |---|---|
//! | on the process | [`kill`](SimGateway::kill), [`stop`](SimGateway::stop), [`start_again`](SimGateway::start_again), [`restart`](SimGateway::restart), [`go_starting`](SimGateway::go_starting), [`go_unavailable`](SimGateway::go_unavailable), [`drain`](SimGateway::drain) |
//! | on the sockets | [`close_all`](SimGateway::close_all), [`cut_all`](SimGateway::cut_all), [`deaf`](SimGateway::deaf), [`silent`](SimGateway::silent), [`half_open`](SimGateway::half_open), [`slow_writes`](SimGateway::slow_writes) |
//! | on the events | [`emit`](SimGateway::emit), [`send_text`](SimGateway::send_text), [`withhold_next_event`](SimGateway::withhold_next_event) |
//! | on the model | [`ChatPlan`]: pieces, pace, tool use, failure, hanging |
//! | on the client | [`PanicSwitch`]: its stream panics at the next write |
//! | on admission | [`set_token`](SimGateway::set_token), [`revoke_device`](SimGateway::revoke_device), [`approve_pairing`](SimGateway::approve_pairing), [`skew_clock`](SimGateway::skew_clock) |
//!
//! # Virtual time
//!
//! All timing is tokio's. With `#[tokio::test(start_paused = true)]` and [`SimGatewayBuilder::start_pipe`], half an
//! hour of ticks, backoff and timeouts takes milliseconds, and every run of the test takes the same turns:
//!
//! ```
//! use std::time::Duration;
//! use windlass_testkit::SimGateway;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let sim = SimGateway::builder().tick_interval(Duration::from_secs(1)).start_pipe();
//! let stream = sim.dial().await?; // give this to `tokio_tungstenite::client_async`
//! # drop(stream);
//! # Ok(()) }
//! ```
//!
//! Do not pause time around real sockets: the clock would run ahead of the kernel.
//!
//! # Is it what the schema says?
//!
//! With the feature `schema` the module `schema` checks frames against the official JSON schema of generation 4: what
//! the simulation sends, and what your client sent, from [`Journal::frames`].
//!
//! # Is a stream of events whole?
//!
//! [`StreamAudit`] checks that a subscriber's events are in order and that each hole has a marker of its size.
//!
//! # Limits
//!
//! The simulation has the methods that a supervising client needs, not the 466 of 2026.9.6. A method that it
//! advertises but does not simulate answers `UNAVAILABLE` until it is scripted. Facts that were measured on two
//! releases only stand for their whole generation; the [`Profile`] documentation says which.

mod audit;
pub mod chaos;
mod gateway;
mod net;
#[cfg(feature = "schema")]
pub mod schema;

pub use audit::{StreamAudit, StreamFault};
pub use chaos::ChaosProxy;
pub use gateway::freeze::{Frozen, Stop};
pub use gateway::halves::half;
pub use gateway::journal::{Entry, Frame, JOURNAL_LIMIT, Journal, Record, SideEffect};
pub use gateway::profile::{
    FailedRun, Generation, HelloAuth, MismatchDetails, PatchEffect, Profile, RELEASES, SecondSend,
};
pub use gateway::script::Script;
pub use gateway::wire::WireError;
pub use gateway::{
    ChatPlan, HeartbeatEnd, NO_REPLY, NotSeen, Outcome, PendingPairing, RestartKind, SimGateway, SimGatewayBuilder,
    WAIT_LIMIT,
};
pub use net::panic_stream::{PanicStream, PanicSwitch, STREAM_PANIC};
