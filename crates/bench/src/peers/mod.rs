//! The measured clients in Rust: Windlass, and clients that are written by hand instead.

#[cfg(feature = "jsonrpsee")]
pub mod jsonrpsee;
mod naive;
mod obey;
mod plain_task;
mod raw;
mod request;
mod socket;
mod windlass;

use std::fmt;

pub(crate) use self::socket::open_tuned as open_socket;
pub(crate) use self::windlass::{WindlassClient, builder, device, spec};
use tokio::runtime::{Builder, Runtime};

use crate::allocations::Allocations;
use crate::load::CallFailed;

/// A client in Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Kind {
    /// Windlass, its lines and the callers on one thread.
    Windlass,
    /// The same with a subscriber and a recorder of the benchmark's own, which take every span and every metric.
    WindlassObserved,
    /// The same with tracing-subscriber's registry and a layer in place of the benchmark's own subscriber.
    WindlassRegistry,
    /// Windlass on its own thread, the callers on a multi-thread runtime.
    WindlassThreads,
    /// A task that owns the socket, an mpsc to it, a oneshot for each answer; on one thread with its callers.
    PlainTask,
    /// The same, the callers on a multi-thread runtime.
    PlainTaskThreads,
    /// A loop that writes and reads, without callers: the limit of the WebSocket library.
    Raw,
    /// The usual first version: a shared sink, flushed for each message, and a reader.
    Naive,
    /// jsonrpsee's client, against its own server and in its own protocol.
    Jsonrpsee,
}

impl Kind {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 9] = [
        Self::Windlass,
        Self::WindlassObserved,
        Self::WindlassRegistry,
        Self::WindlassThreads,
        Self::PlainTask,
        Self::PlainTaskThreads,
        Self::Raw,
        Self::Naive,
        Self::Jsonrpsee,
    ];

    /// The feature that it needs and that this program was built without.
    pub const fn lacks(self) -> Option<&'static str> {
        match self {
            Self::Jsonrpsee if cfg!(not(feature = "jsonrpsee")) => Some("jsonrpsee"),
            Self::WindlassObserved | Self::WindlassRegistry if cfg!(not(feature = "metrics")) => Some("metrics"),
            _ => None,
        }
    }

    /// Its name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Windlass => "windlass",
            Self::WindlassObserved => "windlass-observed",
            Self::WindlassRegistry => "windlass-registry",
            Self::WindlassThreads => "windlass-threads",
            Self::PlainTask => "plain-task",
            Self::PlainTaskThreads => "plain-task-threads",
            Self::Raw => "raw",
            Self::Naive => "naive",
            Self::Jsonrpsee => "jsonrpsee",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a client ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It could not connect.
    #[error("no connection: {0}")]
    Connect(String),
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallFailed),
    /// Its input or output broke.
    #[error("cannot be told what to do")]
    Io(#[from] std::io::Error),
    /// It was told something that is no order.
    #[error("not an order")]
    Order(#[from] serde_json::Error),
    /// It is not in this program.
    #[error("this program was built without the feature `{0}`")]
    NotBuilt(&'static str),
}

/// Connects a client to a gateway on this port of loopback, and executes the orders on standard input until its end.
///
/// # Errors
/// [`PeerError`]: a measurement goes on only without any failure.
pub fn run(kind: Kind, port: u16, allocations: Allocations) -> Result<(), PeerError> {
    match kind {
        Kind::Windlass => on_one_thread(windlass::run_here(port, allocations, false)),
        #[cfg(not(feature = "metrics"))]
        Kind::WindlassObserved | Kind::WindlassRegistry => Err(PeerError::NotBuilt("metrics")),
        #[cfg(feature = "metrics")]
        Kind::WindlassObserved => {
            crate::observe::by_itself();
            on_one_thread(windlass::run_here(port, allocations, true))
        }
        #[cfg(feature = "metrics")]
        Kind::WindlassRegistry => {
            crate::observe::by_registry();
            on_one_thread(windlass::run_here(port, allocations, true))
        }
        Kind::WindlassThreads => spread_out()?.block_on(windlass::run_spread(port, allocations)),
        Kind::PlainTask => on_one_thread(plain_task::run_here(port, allocations)),
        Kind::PlainTaskThreads => spread_out()?.block_on(plain_task::run_spread(port, allocations)),
        Kind::Raw => on_one_thread(raw::run(port, allocations)),
        Kind::Naive => on_one_thread(naive::run(port, allocations)),
        #[cfg(feature = "jsonrpsee")]
        Kind::Jsonrpsee => on_one_thread(jsonrpsee::run(port, allocations)),
        #[cfg(not(feature = "jsonrpsee"))]
        Kind::Jsonrpsee => Err(PeerError::NotBuilt("jsonrpsee")),
    }
}

/// Runs a client and all its callers on the present thread.
pub(crate) fn on_one_thread<T>(work: impl Future<Output = Result<T, PeerError>>) -> Result<T, PeerError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

/// One worker: there is one CPU for it.
fn spread_out() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build()
}
