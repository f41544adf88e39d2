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
pub mod line;
mod registry;
pub mod routing;
pub mod shard;
mod spec;
pub mod stall_detector;
pub mod supervision;
mod telemetry;
#[cfg(any(test, feature = "test-util"))]
#[doc(hidden)]
pub mod testing;
pub mod threads;
mod tokens;
pub mod transport;

pub use clock::{Clock, Deadline, GuardedClock, TokioClock};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use line::{
    Backstop, Calling, Line, LineBackend, LineError, LineErrorKind, LineState, LineStatus, MAX_TOPICS, OutgoingCall,
    ResyncCounters, TooManyTopics, TopicSubscription,
};
pub use registry::{GatewayDirectory, Inspection, OnceAdded, RegistryError};
pub use routing::{
    Backlog, Event, EventFilter, LineEvent, Marker, Overflow, SlowPolicy, Subscription, Topic, WhenFull,
};
pub use shard::{Shard, ShardConfig, ShardHandle};
pub use spec::{GatewaySpec, Header, IntensityPolicy, InvalidHeader};
pub use telemetry::{Metering, describe as describe_metrics};
pub use tokens::{DeviceTokenStore, MemoryTokens, TokenKey, TokenStoreError};
pub use transport::{ConnectStep, Connector, DialError, Fingerprint, TcpConnector, TlsPolicy, UpgradeError};

/// Places at which a unit test makes the shard panic. In any other build they are nothing.
#[doc(hidden)]
pub mod failpoint {
    #[cfg(any(test, feature = "test-util"))]
    pub use crate::testing::{Armed, arm, reach};

    #[cfg(not(any(test, feature = "test-util")))]
    #[inline]
    pub const fn reach(_place: &'static str) {}
}

/// Locks and atomics of the pieces that threads share: the standard library's, or loom's in a build that explores all orders of
/// their steps (`--cfg windlass_loom`, by `just loom`).
mod sync {
    #[cfg(windlass_loom)]
    pub(crate) use loom::sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    };
    #[cfg(not(windlass_loom))]
    pub(crate) use std::sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    };
}
