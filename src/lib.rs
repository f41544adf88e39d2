//! One supervised, persistent line to every OpenClaw gateway.
//!
//! OpenClaw gateways run AI agents and speak JSON RPC over WebSocket. [`Windlass`] keeps one connection to each gateway that is
//! [added](Windlass::add), for as long as the program runs. All calls share this connection, and all events come in over it. After
//! a break it is opened again, and each open call ends with a definite outcome.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use windlass::request::Health;
//! use windlass::{DeviceIdentity, Endpoint, GatewayId, GatewaySpec, Secret, Windlass};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let sim = windlass_testkit::SimGateway::builder().token("secret").start_tcp().await?;
//! # let url = sim.url();
//! let windlass = Windlass::start()?;
//! let mut spec = GatewaySpec::new(GatewayId::new("lab")?, Endpoint::parse(&url)?);
//! spec.token = Some(Secret::new("secret"));
//! // A program of yours loads its device from disk: `windlass::identity::load_default()`.
//! spec.device = Some(Arc::new(DeviceIdentity::from_seed([7; 32])));
//! let gateway = windlass.add(spec).await?;
//!
//! let health = gateway.request(Health::new()).await?;
//! assert_eq!(health.ok, Some(true));
//!
//! windlass.shutdown(Duration::from_secs(5)).await;
//! # Ok(()) }
//! ```
//!
//! # Where to begin
//!
//! | task | entry point |
//! |---|---|
//! | connect to a gateway, watch its status | [`Windlass::add`], [`Gateway::status`] |
//! | call a method | [`Gateway::call`], [`Gateway::request`] |
//! | act on the outcome of a call | [`CallError`] |
//! | receive events | [`Gateway::events`], [`LineEvent`] |
//! | send a message and follow it to its end | [`Gateway::send`], [`sessions`] |
//! | watch the sessions of a gateway | [`Gateway::session_cache`] |
//! | keep events in a store (feature `journal`) | `Windlass::journal` |
//! | provision agents (feature `agents`) | `Windlass::agents` |
//! | test against a simulated gateway | the crate `windlass-testkit` |
//!
//! # Features
//!
//! No feature is on by default. `journal`: write events into a store and read them. `agents`: provision and coordinate agents.
//! `sqlite`: a store on disk. `metrics`: counters and gauges through the `metrics` facade.

#[cfg(feature = "agents")]
pub mod agents;
mod call;
mod gateway;
pub mod identity;
#[cfg(feature = "journal")]
pub mod journal;
pub mod request;
mod runtime;
pub mod sessions;

pub use call::{Call, CallFuture, DEFAULT_TIMEOUT, ReplyError};
pub use gateway::{EVENT_QUEUE, Gateway, NotUp, SessionCacheError};
pub use request::{TypedCall, TypedCallFuture};
pub use runtime::{StartError, Windlass, WindlassBuilder};

pub use windlass_line::line::{
    LineError, LineErrorKind, LineState, LineStatus, MAX_TOPICS, ResyncCounters, TooManyTopics, TopicSubscription,
};
pub use windlass_line::routing::{
    Backlog, Event, EventFilter, LineEvent, Marker, Overflow, SlowPolicy, Subscription, Topic, WhenFull,
};
pub use windlass_line::stall_detector::{BLOCKED_AFTER, BlockedTask};
pub use windlass_line::transport;
pub use windlass_line::{
    Clock, Connector, DeviceTokenStore, Endpoint, Fingerprint, GatewaySpec, Header, Inspection, IntensityPolicy,
    InvalidEndpoint, InvalidHeader, MemoryTokens, Metering, RegistryError, TcpConnector, TlsPolicy, TokenKey,
    TokenStoreError, TokioClock,
};
pub use windlass_protocol as protocol;
pub use windlass_protocol::connection::Resend;
/// The contents of events and payloads, read by [`Event::decode`] and [`Event::keys`].
pub use windlass_protocol::{AgentEvent, ChatEvent, EventKeys, SessionsChangedEvent};
pub use windlass_protocol::{
    CallError, CredentialOrigins, DeviceIdentity, GatewayId, Generation, NotSent, OutcomeUnknown, RawJson, Rejected,
    RetryPolicy, Secret, SecretOrigin, SecretPlace, TimedOut, TraceParent,
};
pub use windlass_sessions::session_cache::{self, SessionCache, SessionCacheClosed, SessionCacheView};
pub use windlass_store as store;
#[cfg(feature = "sqlite")]
pub use windlass_store_sqlite as sqlite;

/// The programs of README and of the guide are tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    mod readme {}
    #[doc = include_str!("../docs/guide/lines.md")]
    mod lines {}
    #[doc = include_str!("../docs/guide/calls.md")]
    mod calls {}
    #[doc = include_str!("../docs/guide/events.md")]
    mod events {}
    #[doc = include_str!("../docs/guide/sessions.md")]
    mod sessions {}
    #[cfg(feature = "journal")]
    #[doc = include_str!("../docs/guide/journal.md")]
    mod journal {}
    #[doc = include_str!("../docs/guide/testing.md")]
    mod testing {}
}
