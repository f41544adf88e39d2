//! One machine: a registry and its lines, on one thread.
//!
//! ```text
//!   Machine::run            restarts the registry should it panic
//!   └─ GatewayRegistry      actor: add, update, remove, stop
//!      └─ supervisor        task per line: start, wait for the end, decide, wait, start again
//!         └─ GatewayConnection   actor per incarnation: dial, shake hands, drive the socket
//! ```

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FutureExt as _, LocalBoxFuture};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use windlass_protocol::GatewayId;
use windlass_protocol::time::after;

use crate::GatewaySpec;
use crate::clock::Clock;
use crate::foreign::GuardedTokens;
use crate::line::LineEnds;
use crate::registry::{
    AddLine, Command, GatewayRegistry, Inspect, Inspection, OnceAdded, Registration, RegistryError, RemoveLine, Roster,
    StopAll, Tell,
};
use crate::routing::EventNames;
use crate::supervision::{KnownFeatures, MachineContext, Panic, Restarts, Running};
use crate::tokens::{DeviceTokenStore, TOKEN_THREADS};
use crate::transport::Connector;
use crate::turns::named;

pub use crate::gate::ConnectGate;

/// Places of a [`ConnectGate`]: 64 keeps 10,000 gateways near the fastest recovery that was measured, and a gateway that serves many
/// lines from a storm of handshakes.
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
    /// Bounds the attempts to connect.
    pub gate: Arc<ConnectGate>,
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
    Registry(RegistryRequest),
    Host(Guest),
    Stop(Duration, Answer),
}

enum RegistryRequest {
    Add(Box<Addition>, Answer),
    Tell(GatewayId, Command, Answer),
    Inspect(GatewayId, Answer<Inspection>),
    Remove(GatewayId, Duration, Answer),
}

/// A gateway that is to be added.
pub(crate) struct Addition {
    spec: GatewaySpec,
    ends: LineEnds,
    /// Done once the line runs, before the addition is answered.
    added: Option<OnceAdded>,
}

impl Addition {
    pub(crate) const fn new(spec: GatewaySpec, ends: LineEnds, added: Option<OnceAdded>) -> Self {
        Self { spec, ends, added }
    }

    /// Has the entry of a directory live as long as the line.
    pub(crate) fn register(&mut self, registration: Registration) {
        self.ends.registration = Some(registration);
    }
}

/// A place in a machine's queue. What is put there is taken out in its turn, though nobody waits for the answer.
pub(crate) struct Place<'a> {
    permit: mpsc::Permit<'a, Request>,
    requests: &'a mpsc::Sender<Request>,
}

impl Place<'_> {
    pub(crate) fn add(self, addition: Addition) -> Answered<()> {
        self.ask(|answer| RegistryRequest::Add(Box::new(addition), answer))
    }

    pub(crate) fn tell(self, id: GatewayId, command: Command) -> Answered<()> {
        self.ask(|answer| RegistryRequest::Tell(id, command, answer))
    }

    pub(crate) fn inspect(self, id: GatewayId) -> Answered<Inspection> {
        self.ask(|answer| RegistryRequest::Inspect(id, answer))
    }

    pub(crate) fn remove(self, id: GatewayId, drain: Duration) -> Answered<()> {
        self.ask(|answer| RegistryRequest::Remove(id, drain, answer))
    }

    fn ask<T>(self, request: impl FnOnce(Answer<T>) -> RegistryRequest) -> Answered<T> {
        let (answer, end) = oneshot::channel();
        self.permit.send(Request::Registry(request(answer)));
        let requests = self.requests.clone();
        Answered { end, requests }
    }
}

/// The answer to a request that is in a machine's queue.
#[must_use = "the answer tells whether it was done"]
pub(crate) struct Answered<T> {
    end: oneshot::Receiver<Result<T, RegistryError>>,
    requests: mpsc::Sender<Request>,
}

impl<T> Answered<T> {
    /// Waits for it.
    pub(crate) async fn wait(mut self) -> Result<T, RegistryError> {
        let end = tokio::select! {
            biased;
            end = &mut self.end => end.ok(),
            // A machine that ended answers nothing more, and may have left a request in its queue.
            () = self.requests.closed() => self.end.try_recv().ok(),
        };
        end.unwrap_or(Err(RegistryError::ShutDown))
    }
}

impl MachineHandle {
    /// Takes a gateway in. `ends` is the machine's half of [`Line::new`](crate::Line::new).
    ///
    /// # Errors
    /// When the id is taken, or the machine stopped.
    pub fn add(&self, spec: GatewaySpec, ends: LineEnds) -> impl Future<Output = Result<(), RegistryError>> + use<'_> {
        // In a box from the beginning: a future would have room for it several times.
        let addition = Box::new(Addition::new(spec, ends, None));
        self.ask(move |answer| RegistryRequest::Add(addition, answer))
    }

    /// Reaches a gateway in another way from now on; its line is closed and opened again at once.
    ///
    /// # Errors
    /// When there is no such gateway, or the machine stopped.
    pub async fn update(&self, spec: GatewaySpec) -> Result<(), RegistryError> {
        let id = spec.id.clone();
        self.ask(|answer| RegistryRequest::Tell(id, Command::Update(Box::new(spec)), answer))
            .await
    }

    /// Tries a line that waits for its next attempt now.
    ///
    /// # Errors
    /// When there is no such gateway, or the machine stopped.
    pub async fn reconnect_now(&self, id: GatewayId) -> Result<(), RegistryError> {
        self.ask(|answer| RegistryRequest::Tell(id, Command::ReconnectNow, answer))
            .await
    }

    /// Closes a line for good. Calls under way have `drain` to end by themselves; returns when it is closed.
    ///
    /// # Errors
    /// When there is no such gateway, or the machine stopped.
    pub async fn remove(&self, id: GatewayId, drain: Duration) -> Result<(), RegistryError> {
        self.ask(|answer| RegistryRequest::Remove(id, drain, answer)).await
    }

    /// Closes every line, each with `drain` for its calls, and stops the machine; returns when all are closed.
    pub async fn stop(&self, drain: Duration) {
        // A machine that is gone has nothing left to stop.
        let _ = self.ask_machine(|answer| Request::Stop(drain, answer)).await;
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
        self.ask(|answer| RegistryRequest::Inspect(id, answer)).await
    }

    /// A place in the queue; nothing while it is full.
    pub(crate) fn place(&self) -> Result<Option<Place<'_>>, RegistryError> {
        let requests = &self.requests;
        match requests.try_reserve() {
            Ok(permit) => Ok(Some(Place { permit, requests })),
            Err(TrySendError::Full(())) => Ok(None),
            Err(TrySendError::Closed(())) => Err(RegistryError::ShutDown),
        }
    }

    /// Waits until there is room in the queue.
    pub(crate) async fn room(&self) -> Result<(), RegistryError> {
        let place = self.requests.reserve().await;
        place.map(drop).map_err(|_| RegistryError::ShutDown)
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> RegistryRequest) -> Result<T, RegistryError> {
        self.ask_machine(|answer| Request::Registry(request(answer))).await
    }

    async fn ask_machine<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, RegistryError> {
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
        let mut registry = Registry::start(&self.config);
        // Dropped, and with it all that runs there, when the machine stops.
        let mut guests = JoinSet::new();
        for guest in std::mem::take(&mut self.guests) {
            guests.spawn_local(named("hosted", None, guest()));
        }
        loop {
            tokio::select! {
                biased;
                panic = registry.actor.ended() => registry.replace(panic),
                Some(ended) = guests.join_next() => report(ended),
                request = self.requests.recv() => match request {
                    Some(Request::Host(guest)) => {
                        guests.spawn_local(named("hosted", None, guest()));
                    }
                    Some(Request::Stop(drain, answer)) => {
                        registry.stop(drain).await;
                        let _ = answer.send(Ok(()));
                        return;
                    }
                    Some(Request::Registry(request)) => registry.pass(request).await,
                    None => return registry.stop(Duration::ZERO).await,
                },
            }
        }
    }
}

/// What is hosted restarts by itself where that is of use; that it ended by a panic all the same must not go unseen.
fn report(ended: Result<(), JoinError>) {
    if let Some(panic) = ended.err().and_then(Panic::of_task) {
        tracing::error!("what a machine hosted ended by a panic: {panic}");
    }
}

/// The registry's actor, and what it takes to start another one.
struct Registry {
    machine: Rc<MachineContext>,
    roster: Roster,
    rng: StdRng,
    restarts: Restarts,
    actor: Running<GatewayRegistry>,
    /// Whether the registry was told to stop: then what it does not answer is no fault.
    stopping: Rc<Cell<bool>>,
    /// Requests whose answers are under way.
    answers: JoinSet<()>,
}

impl Registry {
    fn start(config: &MachineConfig) -> Self {
        let machine = Rc::new(MachineContext {
            clock: Arc::clone(&config.clock),
            connector: Arc::clone(&config.connector),
            tokens: Arc::new(GuardedTokens(Arc::clone(&config.tokens))),
            token_threads: Arc::new(Semaphore::new(TOKEN_THREADS)),
            gate: Arc::clone(&config.gate),
            known: KnownFeatures::default(),
            names: EventNames::default(),
            frames: RefCell::default(),
        });
        let (roster, mut rng) = (Roster::default(), StdRng::seed_from_u64(config.seed));
        let actor = GatewayRegistry::new(Rc::clone(&machine), roster.clone(), rng.random());
        Self {
            machine,
            roster,
            rng,
            restarts: Restarts::of("registry"),
            actor: Running::start("registry", None, actor),
            stopping: Rc::default(),
            answers: JoinSet::new(),
        }
    }

    /// Puts another one in its place, which finds the lines as they are. At once: it only does what it is asked.
    fn replace(&mut self, panic: Option<Panic>) {
        if let Some(panic) = panic {
            let _ = self.restarts.panicked(self.machine.clock.now(), &panic);
        }
        let actor = GatewayRegistry::new(Rc::clone(&self.machine), self.roster.clone(), self.rng.random());
        self.actor = Running::start("registry", None, actor);
    }

    async fn pass(&mut self, request: RegistryRequest) {
        let asked = &self.actor.address;
        match request {
            RegistryRequest::Add(addition, answer) => {
                let Addition { spec, ends, added } = *addition;
                let adding = self.asked(asked.send(AddLine {
                    spec: Box::new(spec),
                    ends,
                }));
                let adding = async move {
                    adding.await?;
                    // Here, so that it is done although the caller went away.
                    if let Some(added) = added {
                        added.await;
                    }
                    Ok(())
                };
                self.answer(adding, answer);
            }
            RegistryRequest::Tell(id, command, answer) => {
                self.answer(self.asked(asked.send(Tell { id, command })), answer);
            }
            RegistryRequest::Inspect(id, answer) => self.answer(self.asked(asked.send(Inspect { id })), answer),
            RegistryRequest::Remove(id, drain, answer) => self.remove(id, drain, answer),
        }
        // Lets the registry take the request before the next one comes: requests keep their order.
        tokio::task::yield_now().await;
    }

    /// Removes a line, be it without the registry: a removal that was taken is carried out.
    fn remove(&mut self, id: GatewayId, drain: Duration, answer: Answer) {
        let drain_until = after(self.machine.clock.now(), drain);
        let asked = self.actor.address.send(RemoveLine {
            id: id.clone(),
            drain_until,
        });
        let roster = self.roster.clone();
        let removal = async move {
            let Ok(ended) = asked.await else {
                // Not there any more: it was closed before the registry panicked.
                let _ = roster.stop(&id, drain_until).await;
                return Ok(());
            };
            ended
        };
        self.answer(removal, answer);
    }

    /// What the registry answers, or that it panicked over the request.
    fn asked<M, T>(
        &self,
        asked: actix::prelude::Request<GatewayRegistry, M>,
    ) -> impl Future<Output = Result<T, RegistryError>> + use<M, T>
    where
        T: Send + 'static,
        M: actix::Message<Result = Result<T, RegistryError>> + Send + 'static,
        GatewayRegistry: actix::Handler<M>,
    {
        let stopping = Rc::clone(&self.stopping);
        async move {
            asked.await.unwrap_or_else(|_| {
                Err(if stopping.get() {
                    RegistryError::ShutDown
                } else {
                    RegistryError::Fault
                })
            })
        }
    }

    /// Sends an answer back without waiting for it here: a line that drains takes its time.
    fn answer<T: 'static>(
        &mut self,
        answered: impl Future<Output = Result<T, RegistryError>> + 'static,
        answer: Answer<T>,
    ) {
        while self.answers.try_join_next().is_some() {}
        self.answers.spawn_local(async move {
            let _ = answer.send(answered.await);
        });
    }

    /// Closes every line, be it without the registry. All that was asked is answered then.
    async fn stop(&mut self, drain: Duration) {
        let drain_until = after(self.machine.clock.now(), drain);
        self.stopping.set(true);
        if self.actor.address.send(StopAll { drain_until }).await.is_err() {
            self.roster.stop_all(drain_until).await;
        }
        while self.answers.join_next().await.is_some() {}
    }
}
