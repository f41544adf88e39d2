//! For unit tests of the actors: a shard, and a simulated gateway that its lines lead to, in virtual time; and places that panic on command.

#![expect(clippy::unwrap_used, clippy::new_without_default, reason = "for tests")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, LocalSet, spawn_local};
use windlass_protocol::connection::{AnswerMode, CallLimits, Resend};
use windlass_protocol::{CallError, DeviceIdentity, GatewayId, Generation, MethodName, RawJson, Secret};
use windlass_testkit::{SimGateway, SimGatewayBuilder};

use crate::routing::{Event, EventFilter, Router, Subscription};
use crate::shard::ConnectGate;
use crate::transport::dial_with;
use crate::{
    Clock, Endpoint, GatewaySpec, Line, LineState, LineStatus, MemoryTokens, OutgoingCall, Shard, ShardConfig,
    ShardHandle, TokioClock,
};

const TOKEN: &str = "gateway-token-7f3a90c2";

/// Plays a test where local tasks can be spawned.
pub async fn play<F: Future>(test: F) -> F::Output {
    LocalSet::new().run_until(test).await
}

#[expect(missing_debug_implementations, reason = "for tests")]
pub struct Harness {
    pub sim: SimGateway,
    pub shard: ShardHandle,
    pub clock: Arc<dyn Clock>,
    running: JoinHandle<()>,
}

pub type Ongoing = JoinHandle<Result<RawJson, CallError>>;

impl Harness {
    pub fn new() -> Self {
        Self::with(SimGateway::builder())
    }

    pub fn with(sim: SimGatewayBuilder) -> Self {
        let sim = sim.token(TOKEN).start_pipe();
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::start());
        let dialled = sim.clone();
        let (shard, handle) = Shard::new(ShardConfig {
            clock: Arc::clone(&clock),
            connector: Arc::new(dial_with(move |_| {
                let sim = dialled.clone();
                async move { sim.dial().await }
            })),
            tokens: Arc::new(MemoryTokens::default()),
            gate: ConnectGate::new(4),
            seed: 1,
        });
        Self {
            sim,
            shard: handle,
            clock,
            running: spawn_local(shard.run()),
        }
    }

    pub fn spec(name: &str) -> GatewaySpec {
        let mut spec = GatewaySpec::new(id(name), Endpoint::parse("ws://gw").unwrap());
        spec.token = Some(Secret::new(TOKEN));
        spec.device = Some(Arc::new(DeviceIdentity::from_seed([7; 32])));
        spec
    }

    /// A line that is not up yet.
    pub async fn add(&self, name: &str) -> Arc<Line> {
        let (line, ends) = Line::new(
            id(name),
            CallLimits::default(),
            Arc::clone(&self.clock),
            crate::telemetry::Metering::Off,
            None,
        );
        self.shard.add(Self::spec(name), ends).await.unwrap();
        Arc::new(line)
    }

    /// A line that is up.
    pub async fn up(&self, name: &str) -> Arc<Line> {
        let line = self.add(name).await;
        wait_up(&line).await;
        line
    }

    /// A call under way in the background; read methods may be written again.
    pub fn call(&self, line: &Arc<Line>, method: &'static str, resend: Resend) -> Ongoing {
        let call = OutgoingCall {
            method: MethodName::new(method).unwrap(),
            params: None,
            deadline: self.clock.now() + Duration::from_secs(120),
            resend,
            answers: AnswerMode::First,
            wait_for_line: true,
            trace: None,
        };
        let line = Arc::clone(line);
        spawn_local(async move { line.call(call).await })
    }

    pub async fn wait_requests(&self, method: &str, count: usize) {
        let seen = |journal: &windlass_testkit::Journal| journal.requests(method).len() >= count;
        self.sim.wait_for(seen).await.unwrap();
    }

    /// Stops the shard, and proves that nothing is left.
    pub async fn finish(self) {
        self.shard.stop(Duration::from_secs(1)).await;
        self.running.await.unwrap();
        self.sim
            .wait_for(|journal| journal.open_connections() == 0)
            .await
            .unwrap();
        self.sim.shutdown().await;
    }
}

pub fn id(name: &str) -> GatewayId {
    GatewayId::new(name).unwrap()
}

pub async fn wait_up(line: &Line) -> LineStatus {
    wait_state(line, LineStatus::is_up).await
}

/// Waits for a state of the line, an hour of virtual time at most.
pub async fn wait_state(line: &Line, wanted: impl FnMut(&LineStatus) -> bool) -> LineStatus {
    let mut status = line.status();
    let seen = tokio::time::timeout(Duration::from_secs(3600), status.wait_for(wanted)).await;
    seen.expect("the state comes within an hour").unwrap().clone()
}

pub fn is_degraded(status: &LineStatus) -> bool {
    matches!(status.state, LineState::Degraded { .. })
}

/// The last error of the line.
pub fn last_error(line: &Line) -> String {
    let status = line.status().borrow().clone();
    status
        .last_error
        .map(|error| error.advice.to_string())
        .unwrap_or_default()
}

/// Waits until something is so, an hour of virtual time at most, and tells how long that took.
pub async fn until(clock: &dyn Clock, what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let start: Instant = clock.now();
    while !is_so() {
        let waited = clock.now() - start;
        assert!(waited < Duration::from_secs(3600), "{what} does not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    clock.now() - start
}

/// A stream of events without a gateway behind it.
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "for tests")]
pub struct EventSource(Router);

impl EventSource {
    /// Receives events from now on.
    pub fn subscribe(&self, filter: EventFilter, backlog: usize) -> Subscription {
        self.0.subscribe(filter, backlog)
    }

    /// Gives an event to all subscribers.
    pub fn publish(&self, name: &str, payload: RawJson) {
        let text = payload.as_str().to_owned();
        self.0.publish(name, &text, || Event {
            name: name.into(),
            payload,
            seq: None,
            generation: Generation::new(1),
        });
    }
}

thread_local! {
    /// How often each place still blows up. A test has its thread, and all that it runs, to itself.
    static ARMED: RefCell<HashMap<&'static str, u32>> = RefCell::default();
}

/// Panics, if a test wants it here.
pub fn reach(place: &'static str) {
    let blows = ARMED.with_borrow_mut(|armed| match armed.get_mut(place) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    });
    assert!(!blows, "failpoint {place}");
}

/// Has the next so many passages of a place panic.
pub fn arm(place: &'static str, times: u32) -> Armed {
    ARMED.with_borrow_mut(|armed| armed.insert(place, times));
    Armed(place)
}

/// Proof of the failpoints that went off.
#[must_use = "a place that nobody passed proves nothing"]
#[derive(Debug)]
pub struct Armed(&'static str);

impl Armed {
    /// How often the place has yet to blow up.
    pub fn left(&self) -> u32 {
        ARMED.with_borrow(|armed| armed[self.0])
    }

    /// Waits, in virtual time, until all have gone off.
    pub async fn gone_off(&self) {
        while self.left() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        ARMED.with_borrow_mut(|armed| armed.remove(self.0));
    }
}
