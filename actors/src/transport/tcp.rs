//! The connector of production: name look-up, TCP, TLS, each with a deadline.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};

use super::tls::TlsClient;
use super::{BoxedIo, Connector, DialError, DialPhase, Dialing, TlsPolicy};
use crate::{Endpoint, clock};

/// Dials gateways over TCP, with TLS for `wss://`.
///
/// The phases are public one by one, so that a diagnosis can show which of them fails.
#[derive(Debug, Clone, Default)]
pub struct TcpConnector {
    tls: TlsClient,
}

impl TcpConnector {
    /// How long a name look-up may take; resolvers give up after 5 to 10 s by themselves.
    pub const DNS_TIMEOUT: Duration = Duration::from_secs(10);
    /// How long TCP may take: three SYN retries (1 + 2 + 4 s) and a margin.
    pub const TCP_TIMEOUT: Duration = Duration::from_secs(10);
    /// How long TLS may take: two round trips and a signature, even on a slow line.
    pub const TLS_TIMEOUT: Duration = Duration::from_secs(10);

    /// Looks up the host.
    ///
    /// # Errors
    /// [`DialError::Dns`], or [`DialError::Timeout`].
    pub async fn resolve(&self, endpoint: &Endpoint) -> Result<Vec<SocketAddr>, DialError> {
        let look_up = async {
            let found: Vec<_> = lookup_host((endpoint.host(), endpoint.port())).await?.collect();
            if found.is_empty() {
                Err(io::ErrorKind::NotFound.into())
            } else {
                Ok(found)
            }
        };
        within(DialPhase::Dns, Self::DNS_TIMEOUT, look_up)
            .await?
            .map_err(DialError::Dns)
    }

    /// Opens a TCP connection to the first address that takes one.
    ///
    /// # Errors
    /// [`DialError::Tcp`] with the last address's error, or [`DialError::Timeout`] over all of them.
    pub async fn connect(&self, addresses: &[SocketAddr]) -> Result<TcpStream, DialError> {
        let stream = within(DialPhase::Tcp, Self::TCP_TIMEOUT, TcpStream::connect(addresses)).await?;
        let stream = stream.map_err(DialError::Tcp)?;
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

async fn within<F: Future>(phase: DialPhase, after: Duration, future: F) -> Result<F::Output, DialError> {
    let output = clock::within(after, future).await;
    output.ok_or(DialError::Timeout { phase, after })
}
