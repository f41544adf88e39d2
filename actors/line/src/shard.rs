//! One shard: a registry and its lines, on one thread.
//!
//! ```text
//!   Shard::run
//!   └─ GatewayRegistry      actor: add, update, remove, stop
//!      └─ supervisor        task per line: start, wait for the end, decide, wait, start again
//!         └─ GatewayConnection   actor per incarnation: dial, shake hands, drive the socket
//! ```

mod context;

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::channel::{AddressReceiver, channel};
use actix::{Addr, Context};
use futures_util::future::FutureExt as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};
use windlass_protocol::GatewayId;

pub use context::ConnectGate;
pub(crate) use context::{EventNames, KnownFeatures, ShardContext};

use crate::GatewaySpec;
use crate::clock::Clock;
use crate::line::LineBackend;
use crate::registry::{
    Addition, GatewayRegistry, HostedFuture, Inspection, LineTable, RegistryError, RegistryMessage, RegistryRequest,
    ReplySender,
};
use crate::stall_detector::instrument;
use crate::supervision::{Tasks, guarded};
use crate::tokens::{DeviceTokenStore, TokenAccess};
use crate::transport::Connector;

/// Places of a [`ConnectGate`]: 64 keeps 10,000 gateways near the fastest recovery that was measured, and a gateway that serves many
/// lines from a storm of handshakes.
pub const CONNECT_CONCURRENCY: usize = 64;

/// Requests that may wait for a shard. Each waits for its answer, so this only has to take those that come at once.
const REQUESTS: usize = 64;

/// The parts of a shard. Give each shard of a process the same gate.
#[derive(Clone)]
pub struct ShardConfig {
    /// Where time is read.
    pub clock: Arc<dyn Clock>,
    /// How byte streams are opened.
    pub connector: Arc<dyn Connector>,
    /// Where device tokens are kept.
    pub tokens: Arc<dyn DeviceTokenStore>,
    /// Bounds the attempts to connect.
    pub gate: Arc<ConnectGate>,
    /// The seed of all jitter. The same seed gives the same delays.
    pub seed: u64,
}

impl std::fmt::Debug for ShardConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardConfig")
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// The handle of a shard, for any thread. When the last one is dropped, the shard stops without waiting for calls.
#[derive(Clone)]
pub struct ShardHandle {
    address: Addr<GatewayRegistry>,
    /// The places in the registry's mailbox that are free: its own bound counts each copy of the address once more.
    places: Arc<Semaphore>,
}

impl std::fmt::Debug for ShardHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardHandle").finish_non_exhaustive()
    }
}

/// A shard that is not running yet.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use tokio::task::LocalSet;
/// use windlass_line::shard::{CONNECT_CONCURRENCY, ConnectGate};
/// use windlass_line::{MemoryTokens, Shard, ShardConfig, TcpConnector, TokioClock};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let (shard, handle) = Shard::new(ShardConfig {
///     clock: Arc::new(TokioClock::start()),
///     connector: Arc::new(TcpConnector::default()),
///     tokens: Arc::new(MemoryTokens::default()),
///     gate: ConnectGate::new(CONNECT_CONCURRENCY),
///     seed: 1,
/// });
/// let stop = async { handle.stop(Duration::ZERO).await };
/// LocalSet::new().run_until(async { tokio::join!(shard.run(), stop) }).await;
/// # }
/// ```
pub struct Shard {
    config: ShardConfig,
    mailbox: AddressReceiver<GatewayRegistry>,
    places: Arc<Semaphore>,
    guests: Vec<HostedFuture>,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").finish_non_exhaustive()
    }
}

/// A place in a shard's mailbox. A message that is sent there is handled in its turn, though its sender went away.
pub(crate) struct MailboxPermit<'a> {
    permit: OwnedSemaphorePermit,
    address: &'a Addr<GatewayRegistry>,
}

impl MailboxPermit<'_> {
    pub(crate) fn add(self, addition: Addition) -> PendingReply<()> {
        self.request(|answer| RegistryRequest::Add(Box::new(addition), answer))
    }

    pub(crate) fn update(self, spec: Box<GatewaySpec>) -> PendingReply<()> {
        self.request(|answer| RegistryRequest::Update(spec, answer))
    }

    pub(crate) fn reconnect_now(self, id: GatewayId) -> PendingReply<()> {
        self.request(|answer| RegistryRequest::ReconnectNow(id, answer))
    }

    pub(crate) fn inspect(self, id: GatewayId) -> PendingReply<Inspection> {
        self.request(|answer| RegistryRequest::Inspect(id, answer))
    }

    pub(crate) fn remove(self, id: GatewayId, drain: Duration) -> PendingReply<()> {
        self.request(|answer| RegistryRequest::Remove(id, drain, answer))
    }

    fn request<T>(self, request: impl FnOnce(ReplySender<T>) -> RegistryRequest) -> PendingReply<T> {
        let (answer, end) = oneshot::channel();
        let address = self.address.clone();
        self.send(request(answer));
        PendingReply { end, address }
    }

    fn send(self, request: RegistryRequest) {
        let place = self.permit;
        // The permits are as many as the mailbox takes. A registry that is gone drops the message, and with it the answer.
        let _ = self.address.try_send(RegistryMessage { request, place });
    }
}

impl ShardHandle {
    /// Takes a gateway in. `backend` is the shard's half of [`Line::new`](crate::Line::new).
    ///
    /// # Errors
    /// When the id is taken, or the shard stopped.
    pub fn add(
        &self,
        spec: GatewaySpec,
        backend: LineBackend,
    ) -> impl Future<Output = Result<(), RegistryError>> + use<'_> {
        // In a box from the beginning: a future would have room for it several times.
        let addition = Box::new(Addition::new(spec, backend, None));
        self.request(move |answer| RegistryRequest::Add(addition, answer))
    }

    /// Reaches a gateway in another way from now on; its line is closed and opened again at once.
    ///
    /// # Errors
    /// When there is no such gateway, or the shard stopped.
    pub async fn update(&self, spec: GatewaySpec) -> Result<(), RegistryError> {
        self.request(|answer| RegistryRequest::Update(Box::new(spec), answer))
            .await
    }

    /// Tries a line that waits for its next attempt now.
    ///
    /// # Errors
    /// When there is no such gateway, or the shard stopped.
    pub async fn reconnect_now(&self, id: GatewayId) -> Result<(), RegistryError> {
        self.request(|answer| RegistryRequest::ReconnectNow(id, answer)).await
    }

    /// Closes a line for good. Calls under way have `drain` to end by themselves; returns when it is closed.
    ///
    /// # Errors
    /// When there is no such gateway, or the shard stopped.
    pub async fn remove(&self, id: GatewayId, drain: Duration) -> Result<(), RegistryError> {
        self.request(|answer| RegistryRequest::Remove(id, drain, answer)).await
    }

    /// Closes every line, each with `drain` for its calls, and stops the shard; returns when all are closed.
    pub async fn stop(&self, drain: Duration) {
        // A shard that is gone has nothing left to stop.
        let _ = self.request(|answer| RegistryRequest::Stop(drain, answer)).await;
    }

    /// Runs something else on the shard's thread until it ends by itself, or the shard stops.
    ///
    /// # Errors
    /// When the shard stopped.
    pub async fn host<F>(&self, guest: impl FnOnce() -> F + Send + 'static) -> Result<(), RegistryError>
    where
        F: Future<Output = ()> + 'static,
    {
        let guest: HostedFuture = Box::new(move || guest().boxed_local());
        self.free_place().await?.send(RegistryRequest::Host(guest));
        Ok(())
    }

    /// Counts the contents and the work of a line.
    ///
    /// # Errors
    /// When there is no such gateway, or the shard stopped.
    pub async fn inspect(&self, id: GatewayId) -> Result<Inspection, RegistryError> {
        self.request(|answer| RegistryRequest::Inspect(id, answer)).await
    }

    /// A place in the mailbox; nothing while it is full.
    pub(crate) fn place(&self) -> Result<Option<MailboxPermit<'_>>, RegistryError> {
        let address = &self.address;
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) if address.connected() => Ok(Some(MailboxPermit { permit, address })),
            Err(TryAcquireError::NoPermits) if address.connected() => Ok(None),
            _ => Err(RegistryError::ShutDown),
        }
    }

    /// Waits until there is room in the mailbox.
    pub(crate) async fn wait_for_room(&self) -> Result<(), RegistryError> {
        self.free_place().await.map(drop)
    }

    async fn free_place(&self) -> Result<MailboxPermit<'_>, RegistryError> {
        let address = &self.address;
        let permit = Arc::clone(&self.places).acquire_owned().await;
        let permit = permit.ok().filter(|_| address.connected());
        let permit = permit.ok_or(RegistryError::ShutDown)?;
        Ok(MailboxPermit { permit, address })
    }

    async fn request<T>(&self, request: impl FnOnce(ReplySender<T>) -> RegistryRequest) -> Result<T, RegistryError> {
        self.free_place().await?.request(request).wait().await
    }
}

impl Shard {
    /// A shard and its handle.
    pub fn new(config: ShardConfig) -> (Self, ShardHandle) {
        let (sender, mailbox) = channel(REQUESTS);
        let places = Arc::new(Semaphore::new(REQUESTS));
        let shard = Self {
            config,
            mailbox,
            places: Arc::clone(&places),
            guests: Vec::new(),
        };
        let address = Addr::new(sender);
        (shard, ShardHandle { address, places })
    }

    /// Has something else run on the shard's thread from the beginning: see [`ShardHandle::host`].
    pub fn hosting<F>(mut self, guest: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        self.guests.push(Box::new(move || guest().boxed_local()));
        self
    }

    /// Runs until it is stopped. Must be polled within a `LocalSet` (or an actix system) with tokio's time and IO.
    pub async fn run(self) {
        let shard = Rc::new(ShardContext {
            clock: Arc::clone(&self.config.clock),
            connector: Arc::clone(&self.config.connector),
            tokens: TokenAccess::new(Arc::clone(&self.config.tokens)),
            gate: Arc::clone(&self.config.gate),
            known: KnownFeatures::default(),
            names: EventNames::default(),
            frames: RefCell::default(),
        });
        let (lines, hosted) = (LineTable::default(), Tasks::of("hosted"));
        for guest in self.guests {
            GatewayRegistry::host(&hosted, guest);
        }
        let seed = StdRng::seed_from_u64(self.config.seed).random();
        let registry = GatewayRegistry::new(Rc::clone(&shard), lines.clone(), hosted.clone(), seed);
        let running = Context::with_receiver(self.mailbox).into_future(registry);
        // Handlers catch their own panics: this one is beyond them, in what is awaited at the end.
        if let Err(panic) = guarded(instrument("registry", None, running)).await {
            tracing::error!("the registry ended by a panic: {panic}");
        }
        self.places.close();
        // All handles were dropped, if there is any line left.
        lines.stop_all(shard.clock.now()).await;
        // Last: what is hosted sees the ends of the lines.
        drop(hosted);
    }
}

/// The answer to a message that was sent.
#[must_use = "the answer tells whether it was done"]
pub(crate) struct PendingReply<T> {
    end: oneshot::Receiver<Result<T, RegistryError>>,
    address: Addr<GatewayRegistry>,
}

impl<T> PendingReply<T> {
    /// Waits for it.
    pub(crate) fn wait(self) -> impl Future<Output = Result<T, RegistryError>> {
        let Self { end, address } = self;
        async move {
            end.await.unwrap_or_else(|_| {
                // A registry that is there dropped the answer by a panic.
                Err(if address.connected() {
                    RegistryError::Fault
                } else {
                    RegistryError::ShutDown
                })
            })
        }
    }
}
