//! The machine behind Windlass: one supervised line per gateway, as actors on one thread.
//!
//! | where | what |
//! |---|---|
//! | [`machine`] | one thread's worth: the registry and its lines |
//! | `registry` | the actor that takes gateways in and lets them go |
//! | `supervision` | what keeps a line up: start, end, decision, wait |
//! | `connection` | the actor of one incarnation: dial, handshake, drive |
//! | [`mod@line`] | what stays: handle, calls, status, memory |
//! | [`routing`] | events to subscribers |
//! | [`journal`] | events, kept in a store and read from there |
//! | [`roster`] | a gateway's sessions, as a value to watch |
//! | [`control_plane`] | what a gateway is told about its agents |
//! | [`transport`] | TCP, TLS, WebSocket |
//! | `telemetry` | spans and metrics |
//! | [`threads`] | where threads and runtimes are made |
//! | [`turns`] | who blocks a thread |
//!
//! This is the only crate that names actix.

mod clock;
mod connection;
pub mod control_plane;
pub mod coordinator;
mod endpoint;
mod failpoint;
mod foreign;
mod gate;
pub mod journal;
pub mod line;
pub mod machine;
pub mod provisioner;
mod registry;
mod rendering;
pub mod roster;
pub mod routing;
pub mod sessions;
mod spec;
mod supervision;
mod telemetry;
pub mod threads;
mod tokens;
pub mod transport;
pub mod turns;

pub use clock::{Clock, Deadline, TokioClock};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use foreign::GuardedClock;
pub use line::{
    Backstop, Calling, Declared, Line, LineEnds, LineError, LineErrorKind, LineState, LineStatus, MAX_TOPICS,
    OutgoingCall, ResyncCounters, TooManyTopics,
};
pub use machine::{Machine, MachineConfig, MachineHandle};
pub use registry::{Directory, Inspection, OnceAdded, RegistryError};
pub use roster::{Roster, RosterClosed, RosterView};
pub use routing::{
    Backlog, Event, EventFilter, LineEvent, Marker, Overflow, SlowPolicy, Subscription, Topic, WhenFull,
};
pub use spec::GatewaySpec;
pub use supervision::IntensityPolicy;
pub use telemetry::{Metering, describe as describe_metrics};
pub use tokens::{DeviceTokenStore, MemoryTokens, TokenKey, TokenStoreError};
pub use transport::{Connector, DialError, Fingerprint, Header, TcpConnector, TlsPolicy, UpgradeError};
