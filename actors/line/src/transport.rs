//! Getting a byte stream to a gateway, and a WebSocket over it.

mod buffers;
mod socket;
mod tcp;
mod tls;
mod websocket;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use windlass_protocol::connection::HandshakeFault;
use windlass_protocol::{Advice, Advise, ConnectRefusal, CredentialKind, GatewayId, HelloOk, UpgradeRefusal};

pub(crate) use buffers::{FrameWriter, ReadBufferPolicy};
pub use socket::Socket;
pub use tcp::TcpConnector;
pub use tls::{Fingerprint, INSECURE_LOG_TARGET, InvalidFingerprint, TlsFault, TlsPolicy};
pub use websocket::open_websocket;

use crate::Endpoint;
use crate::threads::ResourceError;

/// A byte stream to a gateway, encrypted already where it has to be.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Any [`Io`].
pub type BoxedIo = Box<dyn Io>;

/// The result of a [`Connector`].
pub type Dialing<'a> = Pin<Box<dyn Future<Output = Result<BoxedIo, DialError>> + Send + 'a>>;

/// How byte streams to gateways are made: TCP and TLS in production, pipes in tests.
///
/// ```
/// use windlass_line::transport::Dialing;
/// use windlass_line::{Connector, Endpoint, TcpConnector, TlsPolicy};
///
/// /// Prints each endpoint that it dials.
/// struct Logged(TcpConnector);
///
/// impl Connector for Logged {
///     fn dial<'a>(&'a self, endpoint: &'a Endpoint, tls: &'a TlsPolicy) -> Dialing<'a> {
///         println!("dials {endpoint}");
///         self.0.dial(endpoint, tls)
///     }
/// }
/// ```
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

/// Why a stream did not become a WebSocket.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The other side answered with another HTTP status than 101.
    #[error(transparent)]
    Refused(#[from] UpgradeRefusal),
    /// No answer came.
    #[error("{} took longer than {} s", DialPhase::Upgrade, .0.as_secs())]
    Timeout(Duration),
    /// The server does not speak WebSocket.
    #[error("what answers there does not speak WebSocket: {0}")]
    NotWebSocket(String),
    /// The connection broke.
    #[error("the connection broke during the WebSocket upgrade: {0}")]
    Broken(String),
}

impl Advise for DialError {
    fn advice(&self) -> Advice {
        Advice::new(sentence(self), dial_step(self))
    }
}

impl Advise for UpgradeError {
    fn advice(&self) -> Advice {
        let step = match self {
            Self::Refused(refusal) => return refusal.advice(),
            Self::Timeout(_) => {
                "The gateway's process hangs, or the port belongs to something else: look at it on its host."
            }
            Self::NotWebSocket(_) | Self::Broken(_) => {
                "Check that the URL is the gateway's own address and port (wss:// if it speaks TLS there), and that no \
                 proxy in between swallows WebSockets."
            }
        };
        Advice::new(sentence(self), step)
    }
}

/// Whether this process, or the whole shard, has as many files and sockets open as it may.
fn is_out_of_descriptors(error: &DialError) -> bool {
    /// The numbers of EMFILE and ENFILE on every Unix; other systems have no such limit.
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    let (DialError::Dns(error) | DialError::Tcp(error)) = error else {
        return false;
    };
    cfg!(unix) && matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

fn dial_step(error: &DialError) -> &'static str {
    match error {
        error if is_out_of_descriptors(error) => {
            "This is the limit of this process or shard, and not the gateway: raise it (ulimit -n, or LimitNOFILE of the \
             service); each line takes one file descriptor."
        }
        DialError::Dns(_) => "Check the host name in the gateway's URL and this shard's name resolution.",
        DialError::Resources(error) => error.limit().next_step(),
        DialError::Tls(TlsFault::PinMismatch { .. }) => {
            "If the gateway's certificate was renewed, compare the fingerprint on its host and pin the new one; \
             otherwise somebody may stand in between."
        }
        DialError::Tls(TlsFault::Untrusted { .. }) => {
            "Have the certificate signed by a root that this machine trusts; or compare the fingerprint on the gateway's \
             host and pin it."
        }
        DialError::Tls(TlsFault::NoRoots) => "Install the system's CA certificates, or pin the gateway's fingerprint.",
        DialError::Tls(_) => {
            "Check whether the gateway speaks TLS on that port: without TLS the URL begins with ws://."
        }
        DialError::Tcp(_) | DialError::Timeout { .. } => {
            "Check that the gateway runs and listens on that address and port, and that no firewall is in between."
        }
    }
}

/// An error and all that caused it, as one sentence.
fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), letters.as_str())
    })
}

#[cfg(test)]
mod advice_tests {
    use std::io;

    use super::*;

    #[test]
    fn who_has_no_file_descriptor_left_is_told_so_and_not_sent_to_the_gateway() {
        let limit = |number| io::Error::from_raw_os_error(number);
        for error in [
            DialError::Tcp(limit(24)),
            DialError::Tcp(limit(23)),
            DialError::Dns(limit(24)),
        ] {
            let told = error.advice().to_string();
            assert!(told.contains("ulimit -n") && told.contains("open files"), "{told}");
        }
        let refused = DialError::Tcp(io::ErrorKind::ConnectionRefused.into())
            .advice()
            .to_string();
        assert!(refused.contains("Check that the gateway runs"), "{refused}");
    }
}
