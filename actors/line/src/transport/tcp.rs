//! The connector of production: name look-up, TCP, TLS, each with a deadline.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;

use super::happy_eyeballs::first_of;
use super::resolver::Resolver;
use super::tls::TlsClient;
use super::{BoxedIo, Connector, DialError, DialPhase, Dialing, TlsPolicy};
use crate::threads::ResourceError;
use crate::{Endpoint, clock};

/// Dials gateways over TCP, with TLS for `wss://`.
///
/// The phases are public one by one, so that a diagnosis can show which of them fails.
#[derive(Debug, Clone, Default)]
pub struct TcpConnector {
    tls: TlsClient,
    resolver: Resolver,
}

impl TcpConnector {
    /// How long a name look-up may take; resolvers give up after 5 to 10 s by themselves.
    pub const DNS_TIMEOUT: Duration = Duration::from_secs(10);
    /// How long TCP may take: three SYN retries (1 + 2 + 4 s) and a margin.
    pub const TCP_TIMEOUT: Duration = Duration::from_secs(10);
    /// How long TLS may take: two round trips and a signature, even on a slow line.
    pub const TLS_TIMEOUT: Duration = Duration::from_secs(10);

    /// Looks names up in another way than the system does. `ask` is called on a thread of its own, and may block; nothing waits for
    /// it longer than [`DNS_TIMEOUT`](Self::DNS_TIMEOUT).
    pub fn resolving(ask: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self {
            tls: TlsClient::default(),
            resolver: Resolver::new(ask),
        }
    }

    /// Looks up the host.
    ///
    /// # Errors
    /// [`DialError::Dns`], [`DialError::Timeout`], or [`DialError::Resources`] when there is no thread for it.
    pub async fn resolve(&self, endpoint: &Endpoint) -> Result<Vec<SocketAddr>, DialError> {
        let host = endpoint.host();
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, endpoint.port())]);
        }
        let look_up = self.resolver.look_up(&host, endpoint.port());
        within(DialPhase::Dns, Self::DNS_TIMEOUT, look_up).await?
    }

    /// Opens a TCP connection to the first address that takes one. Families take turns, and an address that has not answered for
    /// 250 ms gets the next one beside it (RFC 8305).
    ///
    /// # Errors
    /// [`DialError::Tcp`] with the last address's error, [`DialError::Timeout`] over all of them, or [`DialError::Resources`] when
    /// this process may open no more sockets.
    pub async fn connect(&self, addresses: &[SocketAddr]) -> Result<TcpStream, DialError> {
        let stream = within(
            DialPhase::Tcp,
            Self::TCP_TIMEOUT,
            first_of(addresses, TcpStream::connect),
        )
        .await?;
        let stream = stream.map_err(refused)?;
        // Frames are batched by the writer already; waiting for more would only delay them.
        stream.set_nodelay(true).map_err(DialError::Tcp)?;
        Ok(stream)
    }

    /// Encrypts a connection.
    ///
    /// # Errors
    /// [`DialError::Tls`], or [`DialError::Timeout`].
    pub async fn encrypt(
        &self,
        stream: TcpStream,
        endpoint: &Endpoint,
        policy: &TlsPolicy,
    ) -> Result<BoxedIo, DialError> {
        let handshake = self.tls.handshake(stream, endpoint, policy);
        let stream = within(DialPhase::Tls, Self::TLS_TIMEOUT, handshake).await??;
        Ok(Box::new(stream))
    }
}

impl Connector for TcpConnector {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, tls: &'a TlsPolicy) -> Dialing<'a> {
        Box::pin(async move {
            let addresses = self.resolve(endpoint).await?;
            let stream = self.connect(&addresses).await?;
            if endpoint.is_secure() {
                self.encrypt(stream, endpoint, tls).await
            } else {
                Ok(Box::new(stream) as BoxedIo)
            }
        })
    }
}

/// A fault that no gateway can help is not reported as its fault.
fn refused(error: io::Error) -> DialError {
    match ResourceError::of_socket(error) {
        Ok(limit) => DialError::Resources(limit),
        Err(error) => DialError::Tcp(error),
    }
}

async fn within<F: Future>(phase: DialPhase, after: Duration, future: F) -> Result<F::Output, DialError> {
    let output = clock::within(after, future).await;
    output.ok_or(DialError::Timeout { phase, after })
}
