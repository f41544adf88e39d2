//! One supervised line per gateway, as actors on one thread.
//!
//! | module | contents |
//! |---|---|
//! | [`shard`] | one thread's worth: the registry and its lines |
//! | `registry` | the actor that takes gateways in and lets them go |
//! | `supervision` | keeping a line up: start, end, decision, wait |
//! | `connection` | the actor of one incarnation: dial, handshake, drive |
//! | [`mod@line`] | the state that outlives connections: handle, calls, status, reconnect state |
//! | [`routing`] | events to subscribers |
//! | [`transport`] | TCP, TLS, WebSocket |
//! | `telemetry` | spans and metrics |
//! | [`threads`] | where threads and runtimes are made |
//! | [`stall_detector`] | names a task that blocks a thread |
//!
//! Sessions, agents and the journal stand on it, in crates beside this one. Only these name actix.

pub mod clock;
mod connection;
mod endpoint;
#[doc(hidden)]
pub mod failpoint;
mod foreign;
mod gate;
pub mod line;
mod registry;
pub mod routing;
pub mod shard;
mod spec;
pub mod stall_detector;
pub mod supervision;
mod sync;
mod telemetry;
#[cfg(any(test, feature = "test-util"))]
#[doc(hidden)]
pub mod testing;
pub mod threads;
mod tokens;
pub mod transport;

pub use clock::{Clock, Deadline, TokioClock};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use foreign::GuardedClock;
pub use line::{
    Backstop, Calling, Line, LineBackend, LineError, LineErrorKind, LineState, LineStatus, MAX_TOPICS, OutgoingCall,
    ResyncCounters, TooManyTopics, TopicSubscription,
};
pub use registry::{Directory, Inspection, OnceAdded, RegistryError};
pub use routing::{
    Backlog, Event, EventFilter, LineEvent, Marker, Overflow, SlowPolicy, Subscription, Topic, WhenFull,
};
pub use shard::{Shard, ShardConfig, ShardHandle};
pub use spec::GatewaySpec;
pub use supervision::IntensityPolicy;
pub use telemetry::{Metering, describe as describe_metrics};
pub use tokens::{DeviceTokenStore, MemoryTokens, TokenKey, TokenStoreError};
pub use transport::{ConnectStep, Connector, DialError, Fingerprint, Header, TcpConnector, TlsPolicy, UpgradeError};
