//! One machine: a registry and its lines, on one thread.
//!
//! ```text
//!   Machine::run            restarts the registry should it panic
//!   └─ GatewayRegistry      actor: add, update, remove, stop
//!      └─ supervisor        task per line: start, wait for the end, decide, wait, start again
//!         └─ GatewayConnection   actor per incarnation: dial, shake hands, drive the socket
//! ```

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, AsyncContext as _, Context};
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet, spawn_local};
use windlass_protocol::GatewayId;

use crate::GatewaySpec;
use crate::clock::Clock;
use crate::line::LineEnds;
use crate::registry::{
    AddLine, Command, GatewayRegistry, Inspect, Inspection, RegistryError, RemoveLine, Roster, StopAll, Tell,
};
use crate::supervision::{KnownFeatures, MachineContext};
use crate::tokens::DeviceTokenStore;
use crate::transport::Connector;

/// How many attempts to connect may be under way in a process: 64 keeps 10,000 gateways near the fastest recovery that
/// was measured, and a gateway that serves many lines from a storm of handshakes.
pub const CONNECT_CONCURRENCY: usize = 64;

/// Requests that may wait for a machine. Each waits for its answer, so this only has to take what comes at once.
const REQUESTS: usize = 64;

/// What a machine is made of. Give each machine of a process the same gate.
#[derive(Clone)]
pub struct MachineConfig {
    /// Where time is read.
    pub clock: Arc<dyn Clock>,
    /// How byte streams are opened.
    pub connector: Arc<dyn Connector>,
    /// Where device tokens are kept.
    pub tokens: Arc<dyn DeviceTokenStore>,
    /// One permit per attempt to connect that may be under way.
    pub gate: Arc<Semaphore>,
    /// What jitter is drawn from. The same seed gives the same delays.
    pub seed: u64,
}

impl std::fmt::Debug for MachineConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MachineConfig")
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// The handle of a machine, for any thread. When the last one is dropped, the machine stops without waiting for calls.
#[derive(Debug, Clone)]
pub struct MachineHandle {
    requests: mpsc::Sender<Request>,
}

/// A machine that is not running yet.
pub struct Machine {
    config: MachineConfig,
    requests: mpsc::Receiver<Request>,
    guests: Vec<Guest>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
    }
}

type Answer<T = ()> = oneshot::Sender<Result<T, RegistryError>>;

/// Something else that is to run on a machine's thread: made there, so that it need not be able to leave it.
type Guest = Box<dyn FnOnce() -> LocalBoxFuture<'static, ()> + Send>;

enum Request {
    Add(Box<GatewaySpec>, Box<LineEnds>, Answer),
    Tell(GatewayId, Command, Answer),
    Inspect(GatewayId, Answer<Inspection>),
    Remove(GatewayId, Duration, Answer),
    Host(Guest),
    Stop(Duration, Answer),
}

impl MachineHandle {
    /// Takes a gateway in. `ends` is the machine's half of [`Line::new`](crate::Line::new).
    ///
    /// # Errors
    /// When the id is taken, or the machine stopped.
    pub async fn add(&self, spec: GatewaySpec, ends: LineEnds) -> Result<(), RegistryError> {
        self.ask(|answer| Request::Add(Box::new(spec), Box::new(ends), answer))
            .await
    }

    /// Reaches a gateway in another way from now on; its line is closed and opened again at once.
    ///
    /// # Errors
    /// When there is no such gateway, or the machine stopped.
    pub async fn update(&self, spec: GatewaySpec) -> Result<(), RegistryError> {
        let id = spec.id.clone();
        self.ask(|answer| Request::Tell(id, Command::Update(Box::new(spec)), answer))
            .await
    }

    /// Tries a line that waits for its next attempt now.
    ///
    /// # Errors
    /// When there is no such gateway, or the machine stopped.
    pub async fn reconnect_now(&self, id: GatewayId) -> Result<(), RegistryError> {
        self.ask(|answer| Request::Tell(id, Command::ReconnectNow, answer))
            .await
    }

    /// Closes a line for good. Calls under way have `drain` to end by themselves; returns when it is closed.
    ///
    /// # Errors
    /// When there is no such gateway, or the machine stopped.
    pub async fn remove(&self, id: GatewayId, drain: Duration) -> Result<(), RegistryError> {
        self.ask(|answer| Request::Remove(id, drain, answer)).await
    }

    /// Closes every line, each with `drain` for its calls, and stops the machine; returns when all are closed.
    pub async fn stop(&self, drain: Duration) {
        // A machine that is gone has nothing left to stop.
        let _ = self.ask(|answer| Request::Stop(drain, answer)).await;
    }

    /// Runs something else on the machine's thread until it ends by itself, or the machine stops.
    ///
    /// # Errors
    /// When the machine stopped.
    pub async fn host<F>(&self, guest: impl FnOnce() -> F + Send + 'static) -> Result<(), RegistryError>
    where
        F: Future<Output = ()> + 'static,
    {
        let guest: Guest = Box::new(move || guest().boxed_local());
        let sent = self.requests.send(Request::Host(guest)).await;
        sent.map_err(|_| RegistryError::ShutDown)
    }

    /// Counts what a line holds and has done.
    ///
    /// # Errors
    /// When there is no such gateway, or the machine stopped.
    pub async fn inspect(&self, id: GatewayId) -> Result<Inspection, RegistryError> {
        self.ask(|answer| Request::Inspect(id, answer)).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, RegistryError> {
        let (answer, end) = oneshot::channel();
        self.requests
            .send(request(answer))
            .await
            .map_err(|_| RegistryError::ShutDown)?;
        end.await.unwrap_or(Err(RegistryError::ShutDown))
    }
}

impl Machine {
    /// A machine and its handle.
    pub fn new(config: MachineConfig) -> (Self, MachineHandle) {
        let (sender, requests) = mpsc::channel(REQUESTS);
        let machine = Self {
            config,
            requests,
            guests: Vec::new(),
        };
        (machine, MachineHandle { requests: sender })
    }

    /// Has something else run on the machine's thread from the beginning: see [`MachineHandle::host`].
    pub fn hosting<F>(mut self, guest: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        self.guests.push(Box::new(move || guest().boxed_local()));
        self
    }

    /// Runs until it is stopped. Must be polled within a `LocalSet` (or an actix system) with tokio's time and IO.
    pub async fn run(mut self) {
        let clock = Arc::clone(&self.config.clock);
        let mut registry = Registry::start(&self.config);
        // Dropped, and with it all that runs there, when the machine stops.
        let mut guests = JoinSet::new();
        for guest in std::mem::take(&mut self.guests) {
            guests.spawn_local(guest());
        }
        while let Some(request) = self.requests.recv().await {
            registry.restart_if_dead().await;
            match request {
                Request::Add(spec, ends, answer) => {
                    registry.ask(AddLine { spec, ends: *ends }, answer).await;
                }
                Request::Tell(id, command, answer) => {
                    registry.ask(Tell { id, command }, answer).await;
                }
                Request::Inspect(id, answer) => {
                    registry.ask(Inspect { id }, answer).await;
                }
                Request::Remove(id, drain, answer) => {
                    registry
                        .ask(
                            RemoveLine {
                                id,
                                drain_until: clock.now() + drain,
                            },
                            answer,
                        )
                        .await;
                }
                Request::Host(guest) => {
                    while guests.try_join_next().is_some() {}
                    guests.spawn_local(guest());
                }
                Request::Stop(drain, answer) => {
                    let _ = registry
                        .address
                        .send(StopAll {
                            drain_until: clock.now() + drain,
                        })
                        .await;
                    let _ = answer.send(Ok(()));
                    return;
                }
            }
        }
        let _ = registry
            .address
            .send(StopAll {
                drain_until: clock.now(),
            })
            .await;
    }
}

/// The registry's actor, and what it takes to start another one.
struct Registry {
    machine: Rc<MachineContext>,
    roster: Roster,
    rng: StdRng,
    address: Addr<GatewayRegistry>,
    task: JoinHandle<()>,
}

impl Registry {
    fn start(config: &MachineConfig) -> Self {
        let machine = Rc::new(MachineContext {
            clock: Arc::clone(&config.clock),
            connector: Arc::clone(&config.connector),
            tokens: Arc::clone(&config.tokens),
            gate: Arc::clone(&config.gate),
            known: KnownFeatures::default(),
        });
        let (roster, mut rng) = (Roster::default(), StdRng::seed_from_u64(config.seed));
        let (address, task) = spawn(&machine, &roster, rng.random());
        Self {
            machine,
            roster,
            rng,
            address,
            task,
        }
    }

    async fn restart_if_dead(&mut self) {
        if !self.task.is_finished() {
            return;
        }
        let end = (&mut self.task).await;
        crate::telemetry::restarted("registry");
        tracing::error!(
            lines = self.roster.len(),
            "the registry ended ({end:?}); a new one takes over its lines"
        );
        (self.address, self.task) = spawn(&self.machine, &self.roster, self.rng.random());
    }

    /// Passes a request on and sends its answer back, without waiting for it here: a line that drains takes its time.
    async fn ask<M, T>(&mut self, message: M, answer: Answer<T>)
    where
        T: Send + 'static,
        M: actix::Message<Result = Result<T, RegistryError>> + Send + 'static,
        GatewayRegistry: actix::Handler<M>,
    {
        let answered = self.address.send(message);
        spawn_local(async move {
            let _ = answer.send(answered.await.unwrap_or(Err(RegistryError::ShutDown)));
        });
        // Lets the registry take the request before the next one comes: requests keep their order.
        tokio::task::yield_now().await;
    }
}

fn spawn(machine: &Rc<MachineContext>, roster: &Roster, seed: u64) -> (Addr<GatewayRegistry>, JoinHandle<()>) {
    let registry = GatewayRegistry::new(Rc::clone(machine), roster.clone(), seed);
    let context = Context::new();
    let address = context.address();
    (address, spawn_local(context.into_future(registry)))
}
