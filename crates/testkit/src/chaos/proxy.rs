//! The proxy itself.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::builder::ChaosProxyBuilder;
use super::conn;
use super::core::{Core, State, Traffic};
use super::log::{LogEntry, LogPage};
use super::{Direction, Door, Fault, FrameRule, Schedule};
use crate::net::listener::Acceptor;
use crate::net::now;
use crate::net::stream::Raw;

/// Bytes that a pipe of the proxy holds in each direction.
const PIPE: usize = 64 * 1024;

/// A handle on a chaos proxy. All clones are the same proxy; dropping the last one ends it.
#[derive(Clone, Debug)]
pub struct ChaosProxy {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    core: Arc<Core>,
    door: Option<Acceptor>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Dropping the set aborts the tasks.
        drop(self.core.tasks.take());
    }
}

impl ChaosProxy {
    /// Settings to start from: a free port of 127.0.0.1, seed 1.
    pub fn builder() -> ChaosProxyBuilder {
        ChaosProxyBuilder::default()
    }

    pub(super) fn new(core: Arc<Core>, door: Option<Acceptor>) -> Self {
        Self {
            inner: Arc::new(Inner { core, door }),
        }
    }

    /// Listens on a free port of 127.0.0.1 and connects each client to `upstream`.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn tcp(upstream: SocketAddr) -> io::Result<Self> {
        let dialer = move || async move {
            let stream = TcpStream::connect(upstream).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        Self::builder().tcp(dialer).await
    }

    /// A proxy of pipes: [`dial`](Self::dial) gives the client's end, `dialer` the gateway's.
    pub fn pipe<F, R>(dialer: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<DuplexStream>> + Send + 'static,
    {
        Self::builder().pipe(dialer)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.core.state()
    }

    // ---- reaching it

    /// `ws://127.0.0.1:<port>` of a TCP proxy, `ws://proxy.invalid` of a pipe proxy.
    pub fn url(&self) -> String {
        match self.address() {
            Some(address) => format!("ws://{address}"),
            None => "ws://proxy.invalid".to_owned(),
        }
    }

    /// Address of a TCP proxy.
    pub fn address(&self) -> Option<SocketAddr> {
        self.inner.door.as_ref().map(|door| door.address)
    }

    /// Opens an in-memory pipe to the proxy; works for a TCP proxy too.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` while the proxy refuses.
    #[expect(clippy::unused_async, reason = "dialling is async wherever there is a network")]
    pub async fn dial(&self) -> io::Result<DuplexStream> {
        if self.state().door == Door::Refuse {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (client, proxy) = tokio::io::duplex(PIPE);
        conn::accept(&self.inner.core, Raw::Pipe(proxy));
        Ok(client)
    }

    // ---- actions

    /// Applies the fault and logs it.
    pub fn apply(&self, fault: &Fault) {
        self.inner.core.apply(fault);
        if let Some(door) = &self.inner.door {
            door.want(self.state().door != Door::Refuse);
        }
    }

    /// Takes back all that lasts, and disarms all rules.
    pub fn calm(&self) {
        self.apply(&Fault::Calm);
    }

    /// Ends all open connections in both directions.
    pub fn cut(&self) {
        self.apply(&Fault::Cut);
    }

    /// The same with RST on TCP.
    pub fn reset(&self) {
        self.apply(&Fault::Reset);
    }

    /// Stops one direction, until [`resume`](Self::resume).
    pub fn stall(&self, direction: Direction) {
        self.apply(&Fault::Stall(direction));
    }

    /// Lets a stalled direction go on.
    pub fn resume(&self, direction: Direction) {
        self.apply(&Fault::Resume(direction));
    }

    /// Delays every chunk by this time, both ways; zero ends it.
    pub fn delay(&self, delay: Duration) {
        self.apply(&Fault::Latency {
            delay,
            jitter: Duration::ZERO,
        });
    }

    /// Freezes the open connections for good; new ones work.
    pub fn half_open(&self) {
        self.apply(&Fault::HalfOpen);
    }

    /// Waits for a frame, and does something to it.
    pub fn arm(&self, rule: FrameRule) {
        self.apply(&Fault::Arm(rule));
    }

    /// Refuses new connections, or takes them again. On TCP it takes effect at the next turn of the runtime:
    /// [`refusing`](Self::refusing) waits for it.
    pub fn refuse(&self, on: bool) {
        self.apply(&Fault::Door(if on { Door::Refuse } else { Door::Open }));
    }

    /// As [`refuse`](Self::refuse), done when it returns.
    pub async fn refusing(&self, on: bool) {
        self.refuse(on);
        if let Some(door) = &self.inner.door {
            door.is(!on).await;
        }
    }

    /// Plays a schedule from now on and returns at its end.
    pub async fn play(&self, schedule: &Schedule) {
        let begin = now();
        for (time, fault) in schedule.faults() {
            tokio::time::sleep_until(begin + *time).await;
            self.apply(fault);
        }
    }

    // ---- observations

    /// All actions and observations so far.
    pub fn log(&self) -> Vec<LogEntry> {
        self.state().log().all()
    }

    /// The entries after the first `seen` ones, as far as they are kept, and the start of the next page. Together
    /// with [`logged`](Self::logged) this follows the log.
    pub fn log_since(&self, seen: u64) -> LogPage {
        self.state().log().since(seen)
    }

    /// How many entries the log has had; changes with each.
    pub fn logged(&self) -> watch::Receiver<u64> {
        self.inner.core.written()
    }

    /// Frames and connections so far.
    pub fn traffic(&self) -> Traffic {
        self.state().traffic()
    }

    /// Connections that are open, frozen ones included.
    pub fn connections(&self) -> usize {
        self.state().connections()
    }

    /// Ends the proxy and waits until all its tasks are gone.
    pub async fn shutdown(&self) {
        self.state().door = Door::Refuse;
        self.inner.core.tasks.take().shutdown().await;
    }
}
