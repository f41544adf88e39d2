//! The proxy itself.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::schedule::{Fault, Schedule};
use crate::net::link::{self, Cut, Direction, Link, Raw, Shared};
use crate::net::listener::{Doorkeeper, Port};
use crate::net::now;
use crate::net::tasks::Tasks;

/// Bytes that a pipe of the proxy holds in each direction.
const PIPE: usize = 64 * 1024;

/// One thing that the proxy did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Tokio time since the proxy was made.
    pub at: Duration,
    /// What it did.
    pub fault: Fault,
    /// Connections that were open then.
    pub connections: usize,
}

type Dialed = Pin<Box<dyn Future<Output = io::Result<Raw>> + Send>>;
type Dialer = Box<dyn Fn() -> Dialed + Send + Sync>;

/// A handle on a chaos proxy. All clones are the same proxy; dropping the last one ends it.
#[derive(Clone, Debug)]
pub struct ChaosProxy {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Core>,
    door: Option<Doorkeeper>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Dropping the set aborts the tasks.
        drop(self.shared.tasks.take());
    }
}

struct Core {
    dialer: Dialer,
    born: Instant,
    tasks: Tasks,
    state: Mutex<State>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    refusing: bool,
    link: Link,
    conns: BTreeMap<u64, watch::Sender<Link>>,
    next: u64,
    log: Vec<LogEntry>,
}

impl Core {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, client: Raw) {
        let mut state = self.state();
        let no = state.next;
        state.next += 1;
        let switches = watch::Sender::new(state.link.clone());
        let link = switches.subscribe();
        state.conns.insert(no, switches);
        drop(state);
        let entry = Registered {
            core: Arc::clone(self),
            no,
        };
        self.tasks.spawn(async move { connect(&entry, client, link).await });
    }
}

/// Takes the connection out of the books, however it ends.
struct Registered {
    core: Arc<Core>,
    no: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.core.state().conns.remove(&self.no);
    }
}

async fn connect(entry: &Registered, client: Raw, link: watch::Receiver<Link>) {
    let client = Shared::new(client);
    let both = async {
        let Ok(gateway) = (entry.core.dialer)().await else {
            // The client was let in already; a reset is the nearest thing to "refused".
            client.reset_on_drop();
            return None;
        };
        Some(Shared::new(gateway))
    };
    let gateway = tokio::select! {
        cut = link::cut(link.clone()) => return finish(cut, &[&client]),
        gateway = both => gateway,
    };
    let Some(gateway) = gateway else { return };
    let to_gateway = link::carry(client.clone(), gateway.clone(), link.clone(), Direction::ToGateway);
    let to_client = link::carry(gateway.clone(), client.clone(), link.clone(), Direction::ToClient);
    tokio::select! {
        biased;
        cut = link::cut(link) => finish(cut, &[&client, &gateway]),
        ((), ()) = async { tokio::join!(to_gateway, to_client) } => {}
    }
}

fn finish(cut: Cut, streams: &[&Shared]) {
    if cut == Cut::Reset {
        for stream in streams {
            stream.reset_on_drop();
        }
    }
}

impl ChaosProxy {
    /// Listens on a free port of 127.0.0.1 and connects each client to `upstream`.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn tcp(upstream: SocketAddr) -> io::Result<Self> {
        let dialer = move || -> Dialed {
            Box::pin(async move {
                let stream = TcpStream::connect(upstream).await?;
                stream.set_nodelay(true)?;
                Ok(Raw::Tcp(stream))
            })
        };
        let port = Port::bind()?;
        let core = Self::core(Box::new(dialer));
        let owner = Arc::clone(&core);
        let door = Doorkeeper::new(&core.tasks, port, move |stream| owner.accept(Raw::Tcp(stream)));
        door.is(true).await;
        Ok(Self {
            inner: Arc::new(Inner {
                shared: core,
                door: Some(door),
            }),
        })
    }

    /// A proxy of pipes: [`dial`](Self::dial) gives the client's end, `dialer` the gateway's.
    pub fn pipe<F, R>(dialer: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<DuplexStream>> + Send + 'static,
    {
        let dialer = move || -> Dialed {
            let connecting = dialer();
            Box::pin(async move { connecting.await.map(Raw::Pipe) })
        };
        Self {
            inner: Arc::new(Inner {
                shared: Self::core(Box::new(dialer)),
                door: None,
            }),
        }
    }

    fn core(dialer: Dialer) -> Arc<Core> {
        Arc::new(Core {
            dialer,
            born: now(),
            tasks: Tasks::default(),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.shared.state()
    }

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
        if self.state().refusing {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (client, proxy) = tokio::io::duplex(PIPE);
        self.inner.shared.accept(Raw::Pipe(proxy));
        Ok(client)
    }

    /// Ends all open connections in both directions.
    pub fn cut(&self) {
        self.apply(Fault::Cut);
    }

    /// The same with RST on TCP.
    pub fn reset(&self) {
        self.apply(Fault::Reset);
    }

    /// Stops one direction, until [`resume`](Self::resume).
    pub fn stall(&self, direction: Direction) {
        self.apply(Fault::Stall(direction));
    }

    /// Lets a stalled direction go on.
    pub fn resume(&self, direction: Direction) {
        self.apply(Fault::Resume(direction));
    }

    /// Delays every chunk by this time, both ways; zero ends it.
    pub fn delay(&self, delay: Duration) {
        self.apply(Fault::Delay(delay));
    }

    /// Freezes the open connections for good; new ones work.
    pub fn half_open(&self) {
        self.apply(Fault::HalfOpen);
    }

    /// Refuses new connections, or takes them again. On TCP it takes effect at the next turn of the runtime:
    /// [`refusing`](Self::refusing) waits for it.
    pub fn refuse(&self, on: bool) {
        self.apply(Fault::Refuse(on));
    }

    /// As [`refuse`](Self::refuse), done when it returns.
    pub async fn refusing(&self, on: bool) {
        self.refuse(on);
        if let Some(door) = &self.inner.door {
            door.is(!on).await;
        }
    }

    /// Does what the fault says and logs it.
    pub fn apply(&self, fault: Fault) {
        let at = now().saturating_duration_since(self.inner.shared.born);
        let mut state = self.state();
        let connections = state.conns.len();
        state.log.push(LogEntry { at, fault, connections });
        match fault {
            Fault::Cut => state.switch(false, |link| link.cut = Some(Cut::Drop)),
            Fault::Reset => state.switch(false, |link| link.cut = Some(Cut::Reset)),
            Fault::Stall(direction) => state.switch(true, |link| link.stall(direction, true)),
            Fault::Resume(direction) => state.switch(true, |link| link.stall(direction, false)),
            Fault::Delay(delay) => state.switch(true, |link| link.delay = delay),
            Fault::HalfOpen => state.switch(false, |link| link.frozen = true),
            Fault::Refuse(on) => {
                state.refusing = on;
                if let Some(door) = &self.inner.door {
                    door.want(!on);
                }
            }
        }
    }

    /// Plays a schedule from now on and returns at its end.
    pub async fn play(&self, schedule: &Schedule) {
        let begin = now();
        for (time, fault) in schedule.faults() {
            tokio::time::sleep_until(begin + *time).await;
            self.apply(*fault);
        }
    }

    /// What was done so far.
    pub fn log(&self) -> Vec<LogEntry> {
        self.state().log.clone()
    }

    /// Connections that are open, frozen ones included.
    pub fn connections(&self) -> usize {
        self.state().conns.len()
    }

    /// Ends the proxy and waits until all its tasks are gone.
    pub async fn shutdown(&self) {
        self.state().refusing = true;
        self.inner.shared.tasks.take().shutdown().await;
    }
}

impl State {
    fn switch(&mut self, lasting: bool, change: impl Fn(&mut Link)) {
        if lasting {
            change(&mut self.link);
        }
        for conn in self.conns.values() {
            conn.send_modify(&change);
        }
    }
}
