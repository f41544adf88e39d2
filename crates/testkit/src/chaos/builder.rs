//! Building a proxy.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::conn;
use super::core::{Core, Dialed, Dialer};
use super::log::{LOG_LIMIT, Log};
use super::proxy::ChaosProxy;
use crate::net::listener::{Acceptor, Port};
use crate::net::stream::Raw;

/// Settings of a proxy to be made; got from [`ChaosProxy::builder`].
#[derive(Clone, Debug)]
pub struct ChaosProxyBuilder {
    listen: SocketAddr,
    host: Option<String>,
    seed: u64,
    log_limit: usize,
}

impl Default for ChaosProxyBuilder {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            host: None,
            seed: 1,
            log_limit: LOG_LIMIT,
        }
    }
}

impl ChaosProxyBuilder {
    /// The address to listen on; a free port of 127.0.0.1 unless set. A client that reaches it reaches the gateway.
    pub const fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// The `Host` of upgrade requests: a gateway behind a name requires its own name, and clients send the name of the proxy.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Seed of jitter, of corrupted characters and of rules by chance; 1 unless set.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The number of log entries that are kept, one at least; [`LOG_LIMIT`] unless set. A reader that follows the log
    /// ([`ChaosProxy::log_since`]) needs few.
    pub const fn log_limit(mut self, entries: usize) -> Self {
        self.log_limit = entries;
        self
    }

    /// Listens, and connects each client to the stream that `dialer` returns: TCP, TLS, a pipe.
    ///
    /// # Errors
    ///
    /// When the port can't be bound.
    pub async fn tcp<F, R, S>(self, dialer: F) -> io::Result<ChaosProxy>
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let port = Port::bind_at(self.listen)?;
        let core = self.core(boxed(dialer));
        let owner = Arc::clone(&core);
        let accepted = move |stream| conn::accept(&owner, Raw::Tcp(stream));
        let door = Acceptor::new(&core.tasks, port, accepted);
        door.is(true).await;
        Ok(ChaosProxy::new(core, Some(door)))
    }

    /// A proxy of pipes: [`ChaosProxy::dial`] gives the client's end, `dialer` the gateway's.
    pub fn pipe<F, R, S>(self, dialer: F) -> ChaosProxy
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        ChaosProxy::new(self.core(boxed(dialer)), None)
    }

    fn core(self, dialer: Dialer) -> Arc<Core> {
        Arc::new(Core::new(dialer, self.host, self.seed, Log::keeping(self.log_limit)))
    }
}

fn boxed<F, R, S>(dialer: F) -> Dialer
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    Box::new(move || -> Dialed {
        let connecting = dialer();
        Box::pin(async move {
            let stream = connecting.await?;
            Ok(Raw::Other(Box::new(stream)))
        })
    })
}
