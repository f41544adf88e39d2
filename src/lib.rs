#![doc = include_str!("../README.md")]

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
    Declared, LineError, LineErrorKind, LineState, LineStatus, MAX_TOPICS, ResyncCounters, TooManyTopics,
};
pub use windlass_line::routing::{
    Backlog, Event, EventFilter, LineEvent, Marker, Overflow, SlowPolicy, Subscription, Topic, WhenFull,
};
pub use windlass_line::transport;
pub use windlass_line::turns::{BLOCKED_AFTER, BlockedTurn};
pub use windlass_line::{
    Clock, Connector, DeviceTokenStore, Endpoint, Fingerprint, GatewaySpec, Header, Inspection, IntensityPolicy,
    InvalidEndpoint, MemoryTokens, Metering, RegistryError, TcpConnector, TlsPolicy, TokenKey, TokenStoreError,
    TokioClock,
};
pub use windlass_protocol as protocol;
pub use windlass_protocol::connection::Resend;
/// What events and payloads hold, read by [`Event::decode`] and [`Event::keys`].
pub use windlass_protocol::{AgentEvent, ChatEvent, EventKeys, SessionsChangedEvent};
pub use windlass_protocol::{
    CallError, CredentialOrigins, DeviceIdentity, GatewayId, Generation, NotSent, OutcomeUnknown, RawJson, Rejected,
    RetryPolicy, Secret, SecretOrigin, SecretPlace, TimedOut, TraceParent,
};
pub use windlass_sessions::session_cache::{self, SessionCache, SessionCacheClosed, SessionCacheView};
pub use windlass_store as store;
#[cfg(feature = "sqlite")]
pub use windlass_store_sqlite as sqlite;
