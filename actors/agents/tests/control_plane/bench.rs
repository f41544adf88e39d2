//! The bench that the tests are played on.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::task::{JoinHandle, LocalSet};
use windlass_agents::control_plane::{AgentSpec, OpenClaw};
use windlass_line::shard::ConnectGate;
use windlass_line::transport::dial_with;
use windlass_line::{
    Clock as _, Endpoint, GatewaySpec, Line, MemoryTokens, Shard, ShardConfig, ShardHandle, TokioClock,
};
use windlass_protocol::config::HeartbeatEntry;
use windlass_protocol::connection::CallLimits;
use windlass_protocol::{AgentId, DeviceIdentity, GatewayId, Secret, SessionKey};
use windlass_sessions::{SessionManager, SessionManagerHandle, SessionManagerParts, Sessions};
use windlass_testkit::{SideEffect, SimGateway, SimGatewayBuilder};

const TOKEN: &str = "gateway-token-7f3a90c2";

/// The seed of all jitter, printed by a test that fails; another one is taken from `WINDLASS_SEED`.
fn seed() -> u64 {
    let seed = std::env::var("WINDLASS_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or(1);
    eprintln!("WINDLASS_SEED={seed}");
    seed
}

pub(crate) async fn play<F: Future>(scenario: F) -> F::Output {
    LocalSet::new().run_until(scenario).await
}

/// A gateway, a line to it, and the control plane over that.
pub(crate) struct Bench {
    pub(crate) plane: Arc<OpenClaw>,
    pub(crate) sim: SimGateway,
    sessions: SessionManagerHandle,
    machine: ShardHandle,
    running: JoinHandle<()>,
}

impl Bench {
    pub(crate) async fn of(release: &str) -> Self {
        Self::with(SimGateway::builder().release(release)).await
    }

    pub(crate) async fn with(sim: SimGatewayBuilder) -> Self {
        let sim = sim.token(TOKEN).start_pipe();
        let clock: Arc<dyn windlass_line::Clock> = Arc::new(TokioClock::start());
        let dialled = sim.clone();
        let config = ShardConfig {
            clock: Arc::clone(&clock),
            connector: Arc::new(dial_with(move |_| {
                let sim = dialled.clone();
                async move { sim.dial().await }
            })),
            tokens: Arc::new(MemoryTokens::default()),
            gate: ConnectGate::new(4),
            seed: seed(),
        };
        let (machine, handle) = Shard::new(config);
        let (manager, sessions) = SessionManager::prepare(SessionManagerParts {
            seed: [1; 32],
            clock: Arc::clone(&clock),
            outbox: None,
        });
        let running = tokio::task::spawn_local(machine.hosting(|| manager.run()).run());
        let id = GatewayId::new("gw").unwrap();
        let mut spec = GatewaySpec::new(id.clone(), Endpoint::parse("ws://gw").unwrap());
        spec.token = Some(Secret::new(TOKEN));
        spec.device = Some(Arc::new(DeviceIdentity::from_seed([7; 32])));
        let (line, ends) = Line::new(id, CallLimits::default(), clock, windlass_line::Metering::Off, None);
        handle.add(spec, ends).await.unwrap();
        Self {
            plane: Arc::new(OpenClaw::new(Sessions::new(Arc::new(line), sessions.clone()), seed())),
            sessions,
            sim,
            machine: handle,
            running,
        }
    }

    /// A second control plane on the same line, as another part of the process would make by mistake, or a first one
    /// after its owner was restarted.
    pub(crate) fn another_plane(&self) -> Arc<OpenClaw> {
        let sessions = Sessions::new(Arc::clone(self.plane.line()), self.sessions.clone());
        Arc::new(OpenClaw::new(sessions, seed() + 1))
    }

    pub(crate) fn count(&self, wanted: impl Fn(&SideEffect) -> bool) -> usize {
        self.sim.journal().count(wanted)
    }

    pub(crate) fn config_writes(&self) -> usize {
        self.count(|effect| matches!(effect, SideEffect::ConfigWritten { .. }))
    }

    pub(crate) fn patches_sent(&self) -> usize {
        self.sim.journal().requests("config.patch").len()
    }

    /// Ends everything and proves that nothing is left.
    pub(crate) async fn finish(self) {
        let left = self.machine.inspect(GatewayId::new("gw").unwrap()).await.unwrap();
        assert_eq!((left.in_flight, left.waiting), (0, 0), "calls are left");
        let queue = windlass_agents::control_plane::ControlPlane::writes(&*self.plane);
        assert_eq!(queue.waiting, 0, "writes are left");
        self.machine.stop(Duration::from_secs(1)).await;
        self.running.await.unwrap();
        self.sim.shutdown().await;
    }
}

pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(TokioClock::start().now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        TokioClock::start().now().saturating_duration_since(self.0)
    }
}

pub(crate) fn id(text: &str) -> AgentId {
    AgentId::parse(text).unwrap()
}

pub(crate) fn card(name: &str) -> AgentSpec {
    AgentSpec {
        id: id(name),
        name: format!("The {name}"),
        workspace: format!("/srv/workspace-{name}"),
    }
}

pub(crate) fn heartbeat(every: &str) -> Map<String, Value> {
    match json!({ "every": every }) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

pub(crate) fn entry(name: &str) -> HeartbeatEntry {
    HeartbeatEntry {
        id: id(name),
        workspace: format!("/srv/workspace-{name}"),
        heartbeat: heartbeat("5m"),
    }
}

pub(crate) fn main_of(name: &str) -> SessionKey {
    SessionKey::main_of(&id(name))
}
