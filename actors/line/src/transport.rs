//! Getting a byte stream to a gateway, and a WebSocket over it.

mod advice;
mod frames;
mod happy_eyeballs;
mod public_key;
mod read_counters;
mod resolver;
mod socket;
mod tcp;
mod tls;
mod upgrade;
mod websocket;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use windlass_protocol::connection::HandshakeFault;
use windlass_protocol::{ConnectRefusal, CredentialKind, GatewayId, HelloOk};

use crate::Endpoint;
use crate::threads::ResourceError;

pub(crate) use frames::FrameWriter;
pub(crate) use socket::ReadBuffer;
pub use socket::Socket;
pub use tcp::TcpConnector;
pub use tls::{Fingerprint, INSECURE_LOG_TARGET, InvalidFingerprint, TlsFault, TlsPolicy};
pub use websocket::{Header, InvalidHeader, UpgradeError, open_websocket};

/// A byte stream to a gateway, encrypted already where it has to be.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Any [`Io`].
pub type BoxedIo = Box<dyn Io>;

/// The result of a [`Connector`].
pub type Dialing<'a> = Pin<Box<dyn Future<Output = Result<BoxedIo, DialError>> + Send + 'a>>;

/// How byte streams to gateways are made: TCP and TLS in production, pipes in tests.
pub trait Connector: Send + Sync + 'static {
    /// Opens one stream.
    ///
    /// ## Cancel safety
    /// The future may be dropped at any point; its sockets are closed then.
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, tls: &'a TlsPolicy) -> Dialing<'a>;

    /// Observes the steps of a connection after [`dial`](Self::dial), in their order. Called on the thread of the line: it must not
    /// block. Does nothing unless it is implemented.
    fn on_step(&self, gateway: &GatewayId, step: &ConnectStep<'_>) {
        let _ = (gateway, step);
    }
}

impl<C: Connector + ?Sized> Connector for Arc<C> {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, tls: &'a TlsPolicy) -> Dialing<'a> {
        (**self).dial(endpoint, tls)
    }

    fn on_step(&self, gateway: &GatewayId, step: &ConnectStep<'_>) {
        (**self).on_step(gateway, step);
    }
}

/// A step of a connection, from the byte stream to hello-ok or to the end of the attempt: see [`Connector::on_step`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectStep<'a> {
    /// The byte stream was upgraded to a WebSocket.
    Upgraded,
    /// The gateway's challenge came, and `connect` is sent.
    Challenged,
    /// The gateway refused `connect`.
    Refused(&'a ConnectRefusal),
    /// The handshake broke.
    Broken(&'a HandshakeFault),
    /// The gateway accepted `connect`, which carried these credentials.
    Accepted(&'a HelloOk, CredentialKind),
    /// The attempt failed, and the line's status says why.
    Failed {
        /// Other credentials are tried next, so that the failure is not final.
        tries_other_credentials: bool,
    },
}

/// A [`Connector`] made of a function, for tests: `dial_with(|endpoint| async { Ok(pipe) })`.
pub fn dial_with<F, Fut, S>(dial: F) -> impl Connector
where
    F: Fn(Endpoint) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = io::Result<S>> + Send + 'static,
    S: Io + 'static,
{
    struct DialWith<F>(F);

    impl<F, Fut, S> Connector for DialWith<F>
    where
        F: Fn(Endpoint) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<S>> + Send + 'static,
        S: Io + 'static,
    {
        fn dial<'a>(&'a self, endpoint: &'a Endpoint, _tls: &'a TlsPolicy) -> Dialing<'a> {
            let opening = (self.0)(endpoint.clone());
            Box::pin(async move {
                let stream = opening.await.map_err(DialError::Tcp)?;
                Ok(Box::new(stream) as BoxedIo)
            })
        }
    }

    DialWith(dial)
}

/// Why no byte stream could be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The host's name was not found.
    #[error("the host name could not be resolved")]
    Dns(#[source] io::Error),
    /// No address of the host took the connection.
    #[error("no TCP connection")]
    Tcp(#[source] io::Error),
    /// The system has no thread or no socket to give.
    #[error(transparent)]
    Resources(ResourceError),
    /// The TLS handshake failed.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// A phase took too long.
    #[error("{phase} took longer than {} s", after.as_secs())]
    Timeout {
        /// Which phase.
        phase: DialPhase,
        /// The bound that was met.
        after: Duration,
    },
}

/// A phase of dialling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialPhase {
    /// Looking up the host's name.
    Dns,
    /// Opening the TCP connection.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// The HTTP upgrade to a WebSocket.
    Upgrade,
}

impl fmt::Display for DialPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "the name look-up",
            Self::Tcp => "the TCP connection",
            Self::Tls => "the TLS handshake",
            Self::Upgrade => "the WebSocket upgrade",
        })
    }
}

/// Whether the logger of the program takes the records, at the level trace of the `log` crate, that hold whole frames. The WebSocket
/// library writes them; a filter for the target `tungstenite` in the program's logger keeps them out.
pub fn log_takes_frames() -> bool {
    log::log_enabled!(target: "tungstenite::protocol", log::Level::Trace)
}
