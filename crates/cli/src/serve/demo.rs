//! The fleet of `windlass serve --demo`: simulated gateways of all releases with agents that talk, and faults. All records are in memory.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{MissedTickBehavior, interval, sleep};
use windlass::Windlass;
use windlass::agents::{Job, RunOptions};
use windlass::sessions::Outbox;
use windlass::store::{
    Agent, AgentFilter, AgentUid, Board, BoardId, Gateway, GatewayUid, MemoryStore, SecretSource, Store,
};
use windlass_line::TokioClock;
use windlass_operations::{Service, ServiceParts};
use windlass_protocol::{DeviceIdentity, Secret};
use windlass_testkit::{ChatPlan, HeartbeatEnd, RELEASES, RestartKind, SimGateway};

use crate::exit::Failure;
use crate::store::{self, new_id};

/// Names of the gateways.
const NAMES: [&str; 20] = [
    "amsterdam",
    "berlin",
    "cairo",
    "dublin",
    "edinburgh",
    "florence",
    "geneva",
    "helsinki",
    "istanbul",
    "jakarta",
    "kyoto",
    "lisbon",
    "madrid",
    "nairobi",
    "oslo",
    "prague",
    "quito",
    "reykjavik",
    "seoul",
    "tokyo",
];
/// The token of the simulated gateways; it opens nothing else.
const TOKEN: &str = "demo-token-of-simulated-gateways";
/// The name of this token in the records.
const TOKEN_NAME: &str = "demo";
/// Faults, messages and their places come from this seed, so that each demo is alike.
const SEED: u64 = 20;
/// The interval between two messages to agents.
const TALK: Duration = Duration::from_millis(500);
/// The interval between two faults.
const FAULT: Duration = Duration::from_secs(5);
/// The interval between two heartbeats of all agents.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// How long a killed gateway is gone.
const GONE: Duration = Duration::from_secs(8);
/// Said to agents.
const TEXTS: [&str; 4] = [
    "What did you do since yesterday?",
    "Summarise the open pull requests.",
    "Is the nightly build green?",
    "Plan the next step, and begin.",
];

/// The simulated gateways, and the records that the service has of them.
pub(crate) struct DemoFleet {
    sims: Vec<(GatewayUid, SimGateway)>,
}

impl DemoFleet {
    /// Starts gateways and service.
    pub(crate) async fn start(record: bool) -> Result<(Self, Service), Failure> {
        let store = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
        let organization = store::organization(&*store).await?;
        let mut sims = Vec::new();
        for (index, name) in NAMES.into_iter().enumerate() {
            let sim = simulated(RELEASES[index % RELEASES.len()]).await?;
            let gateway = Gateway {
                id: new_id(GatewayUid::from_bytes)?,
                organization_id: organization.id,
                name: name.to_owned(),
                url: sim.url(),
                token: Some(SecretSource::Host(TOKEN_NAME.into())),
                workspace_root: Some("/srv/agents".into()),
                base_url: None,
                allow_insecure_tls: false,
                tls_fingerprint: None,
                disable_device_pairing: false,
                created_at: store::now(),
            };
            store.insert_gateway(&gateway).await?;
            put_agents(&*store, &gateway).await?;
            sims.push((gateway.id, sim));
        }
        let service = serve(store, record).await?;
        Ok((Self { sims }, service))
    }

    /// One line for people.
    pub(crate) fn describe(&self) -> String {
        format!(
            "a demo of {} simulated gateways, {} releases, faults every {} s; nothing is stored",
            self.sims.len(),
            RELEASES.len(),
            FAULT.as_secs()
        )
    }

    /// Lets agents talk and gateways fail until `stop`.
    pub(crate) async fn play(&self, service: &Service, stop: &mut Pin<&mut impl Future<Output = ()>>) {
        let play = async {
            self.provision(service).await;
            tokio::join!(self.talk(service), self.fail(), self.beat(service));
        };
        tokio::select! {
            () = play => {}
            () = stop => {}
        }
    }

    /// Ends the gateways.
    pub(crate) async fn end(self) {
        for (_, sim) in self.sims {
            sim.shutdown().await;
        }
    }

    /// Brings all agents to their gateways. What fails is on record, as in any service.
    async fn provision(&self, service: &Service) {
        let Ok(agents) = service.store().agents(&AgentFilter::default()).await else {
            return;
        };
        let job = Job::Provision {
            agents: agents.into_iter().map(|agent| agent.id).collect(),
            options: RunOptions::default(),
        };
        if let Ok(operation) = service.agents().work(job).await {
            let _ = operation.report().await;
        }
    }

    async fn talk(&self, service: &Service) {
        let mut rng = StdRng::seed_from_u64(SEED);
        let mut ticks = interval(TALK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Ok(agents) = service.store().agents(&AgentFilter::default()).await else {
                continue;
            };
            let (Some(agent), Some(text)) = (agents.choose(&mut rng), TEXTS.choose(&mut rng)) else {
                continue;
            };
            if let Ok(line) = service.line(&agent.gateway_id.to_string()) {
                let message = line.message(agent.session_key.clone(), *text);
                // Its end is in the events, which are what the demo is for.
                let _ = line.send(message).await;
            }
        }
    }

    async fn fail(&self) {
        let mut rng = StdRng::seed_from_u64(SEED + 1);
        let mut ticks = interval(FAULT);
        loop {
            ticks.tick().await;
            let Some((_, sim)) = self.sims.choose(&mut rng) else {
                return;
            };
            match rng.random_range(0..4) {
                0 => sim.cut_all(),
                1 => sim.restart(RestartKind::Clean),
                2 => sim.script().once().drop_connection_before_answer("chat.send"),
                _ => {
                    sim.kill().await;
                    sleep(GONE).await;
                    sim.start_again().await;
                }
            }
        }
    }

    async fn beat(&self, service: &Service) {
        let mut ticks = interval(HEARTBEAT);
        loop {
            ticks.tick().await;
            let Ok(agents) = service.store().agents(&AgentFilter::default()).await else {
                continue;
            };
            for agent in agents {
                if let Some((_, sim)) = self.sims.iter().find(|(id, _)| *id == agent.gateway_id) {
                    sim.heartbeat(agent.agent_id().as_str(), HeartbeatEnd::Answered);
                }
            }
        }
    }
}

async fn simulated(release: &str) -> Result<SimGateway, Failure> {
    let answer = ChatPlan {
        increments: 4,
        pace: Duration::from_millis(150),
        ..ChatPlan::default()
    };
    let sim = SimGateway::builder()
        .release(release)
        .token(TOKEN)
        .chat(answer)
        .start_tcp()
        .await;
    sim.map_err(|error| {
        Failure::usage(
            format!("No simulated gateway can be started: {error}"),
            "The demo needs twenty free TCP ports on 127.0.0.1.",
        )
    })
}

/// A main agent, and a board with a lead and a worker.
async fn put_agents(store: &dyn Store, gateway: &Gateway) -> Result<(), Failure> {
    let at = store::now();
    let name = format!("{} board", gateway.name);
    let board = Board::new(
        new_id(BoardId::from_bytes)?,
        gateway.organization_id,
        Some(gateway.id),
        name,
        at,
    );
    store.insert_board(&board).await?;
    let mut agents = vec![Agent::new_main(
        new_id(AgentUid::from_bytes)?,
        gateway.id,
        gateway.name.clone(),
        at,
    )];
    agents.push(Agent::new_lead(
        new_id(AgentUid::from_bytes)?,
        gateway.id,
        board.id,
        "Lead",
        at,
    ));
    agents.push(Agent::new_worker(
        new_id(AgentUid::from_bytes)?,
        gateway.id,
        board.id,
        "Worker",
        at,
    ));
    for agent in agents {
        store.insert_agent(&agent, windlass::store::Creator::Operator).await?;
    }
    Ok(())
}

async fn serve(store: Arc<dyn Store>, record: bool) -> Result<Service, Failure> {
    let unusable = |error: &dyn std::error::Error| Failure::usage(error.to_string(), "");
    let outbox = Outbox::open(Arc::clone(&store))
        .await
        .map_err(|error| unusable(&error))?;
    let windlass = Windlass::builder().outbox(outbox).start()?;
    let agents = windlass
        .agents(Arc::clone(&store))
        .device(Arc::new(DeviceIdentity::from_seed([42; 32])))
        .secrets(|name| (name == TOKEN_NAME).then(|| Secret::new(TOKEN)))
        .base_url("https://windlass.example/api/v1")
        .supervise(true)
        .start()
        .await?;
    let writer = if record {
        let started = windlass.journal(Arc::clone(&store)).writer().start().await;
        Some(started.map_err(|error| unusable(&error))?)
    } else {
        None
    };
    let parts = ServiceParts {
        windlass,
        store,
        agents,
        writer,
        configured: Vec::new(),
        clock: Arc::new(TokioClock::start()),
    };
    Ok(Service::start(parts).await?)
}
