//! A store, a gateway in memory, and a provisioner that can be killed and started again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use windlass_protocol::AgentId;
use windlass_store::{
    Agent, AgentUid, Board, BoardId, Creator, Gateway, GatewayUid, MemoryStore, Organization, OrganizationId, Owner,
    Store, Timestamp,
};
use windlass_templates::Templates;

use crate::control_plane::{ControlError, ControlPlane, FakeControlPlane, FakeEffect, FakeRelease};
use crate::provisioner::{
    Fleet, FleetReport, Job, Keep, Provisioner, ProvisionerHandle, ProvisionerParts, ProvisionerSettings, RunOptions,
};
use windlass_line::testing::EventSource;
use windlass_line::{Clock as _, TokioClock};
use windlass_line::{EventFilter, Subscription};

/// Plays a test where local tasks can be spawned.
pub(crate) async fn play<F: Future>(test: F) -> F::Output {
    LocalSet::new().run_until(test).await
}

/// Gateways in memory, by their records' ids.
#[derive(Default)]
pub(crate) struct Fakes {
    planes: Mutex<HashMap<GatewayUid, FakeControlPlane>>,
    routers: Mutex<HashMap<GatewayUid, EventSource>>,
    /// Their events can't be had.
    pub(crate) hidden: AtomicBool,
}

#[async_trait]
impl Fleet for Fakes {
    async fn control_plane(&self, gateway: &Gateway) -> Result<Arc<dyn ControlPlane>, ControlError> {
        let plane = self.planes.lock().unwrap()[&gateway.id].clone();
        Ok(Arc::new(plane))
    }

    async fn activity(&self, gateway: &Gateway) -> Option<Subscription> {
        if self.hidden.load(Ordering::Relaxed) {
            return None;
        }
        let mut routers = self.routers.lock().unwrap();
        let router = routers.entry(gateway.id).or_default();
        Some(router.subscribe(EventFilter::all(), 64))
    }
}

pub(crate) struct Bench {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) fakes: Arc<Fakes>,
    pub(crate) organization: OrganizationId,
    pub(crate) gateway: GatewayUid,
    pub(crate) templates: Templates,
    clock: TokioClock,
    next_id: Mutex<u8>,
}

/// One life of a provisioner.
pub(crate) struct Life {
    pub(crate) handle: ProvisionerHandle,
    task: JoinHandle<()>,
}

impl Life {
    /// Ends it as a killed process would: nothing of it runs on.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
        // What it had spawned is dropped by the runtime's next turn.
        tokio::task::yield_now().await;
    }

    /// Ends it in good order: its last handle goes.
    pub(crate) async fn stop(self) {
        drop(self.handle);
        self.task.await.unwrap();
    }

    pub(crate) async fn work(&self, job: Job) -> FleetReport {
        self.handle.work(job).await.unwrap().report().await.unwrap()
    }

    pub(crate) async fn provision(&self, agents: &[AgentUid]) -> FleetReport {
        self.provision_with(agents, RunOptions::default()).await
    }

    pub(crate) async fn provision_with(&self, agents: &[AgentUid], options: RunOptions) -> FleetReport {
        let agents = agents.to_vec();
        self.work(Job::Provision { agents, options }).await
    }
}

impl Bench {
    /// An organization with one gateway of this release.
    pub(crate) async fn new(release: FakeRelease) -> Self {
        let store = Arc::new(MemoryStore::new());
        let organization = OrganizationId::from_bytes([1; 16]);
        let owner = Owner {
            name: Some("Ada Lovelace".into()),
            ..Owner::default()
        };
        let record = Organization {
            id: organization,
            name: "Analytical Engines".into(),
            owner,
        };
        windlass_store::Organizations::put_organization(&*store, &record)
            .await
            .unwrap();
        let mut bench = Self {
            store,
            fakes: Arc::default(),
            organization,
            gateway: GatewayUid::from_bytes([2; 16]),
            templates: Templates::shipped(),
            clock: TokioClock::start(),
            next_id: Mutex::new(10),
        };
        bench.gateway = bench.add_gateway(release).await;
        bench
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from(self.clock.wall())
    }

    fn id(&self) -> [u8; 16] {
        let mut next = self.next_id.lock().unwrap();
        *next += 1;
        [*next; 16]
    }

    pub(crate) async fn add_gateway(&self, release: FakeRelease) -> GatewayUid {
        let id = GatewayUid::from_bytes(self.id());
        let record = Gateway {
            id,
            organization_id: self.organization,
            name: format!("gateway {id}"),
            url: "ws://gateway".into(),
            token: None,
            workspace_root: Some("/srv/agents/".into()),
            base_url: None,
            allow_insecure_tls: false,
            tls_fingerprint: None,
            disable_device_pairing: false,
            created_at: self.now(),
        };
        windlass_store::Gateways::insert_gateway(&*self.store, &record)
            .await
            .unwrap();
        self.fakes
            .planes
            .lock()
            .unwrap()
            .insert(id, FakeControlPlane::new(release));
        id
    }

    pub(crate) async fn add_board(&self, name: &str) -> BoardId {
        let id = BoardId::from_bytes(self.id());
        let mut board = Board::new(id, self.organization, Some(self.gateway), name, self.now());
        board.max_agents = 100;
        windlass_store::Boards::insert_board(&*self.store, &board)
            .await
            .unwrap();
        id
    }

    pub(crate) async fn add_worker(&self, board: BoardId, name: &str) -> AgentUid {
        self.insert(Agent::new_worker(
            AgentUid::from_bytes(self.id()),
            self.gateway,
            board,
            name,
            self.now(),
        ))
        .await
    }

    pub(crate) async fn add_lead(&self, board: BoardId) -> AgentUid {
        let id = AgentUid::from_bytes(self.id());
        self.insert(Agent::new_lead(id, self.gateway, board, "Lead Agent", self.now()))
            .await
    }

    pub(crate) async fn add_main(&self) -> AgentUid {
        let id = AgentUid::from_bytes(self.id());
        self.insert(Agent::new_main(id, self.gateway, "Gateway Agent", self.now()))
            .await
    }

    pub(crate) async fn insert(&self, agent: Agent) -> AgentUid {
        let made = windlass_store::Agents::insert_agent(&*self.store, &agent, Creator::Operator).await;
        made.unwrap().id
    }

    /// A board with a worker, not provisioned yet.
    pub(crate) async fn worker(&self) -> AgentUid {
        let board = self.add_board("Engine room").await;
        self.add_worker(board, "Stoker").await
    }

    pub(crate) async fn agent(&self, id: AgentUid) -> Agent {
        windlass_store::Agents::agent(&*self.store, id)
            .await
            .unwrap()
            .expect("the record is there")
    }

    pub(crate) async fn agent_id(&self, id: AgentUid) -> AgentId {
        self.agent(id).await.agent_id()
    }

    pub(crate) fn fake(&self) -> FakeControlPlane {
        self.fake_of(self.gateway)
    }

    pub(crate) fn fake_of(&self, gateway: GatewayUid) -> FakeControlPlane {
        self.fakes.planes.lock().unwrap()[&gateway].clone()
    }

    /// How often the gateway was changed in any way.
    pub(crate) fn effects(&self) -> usize {
        self.fake().effects().len()
    }

    pub(crate) fn sent(&self) -> usize {
        self.fake().count(|effect| matches!(effect, FakeEffect::Sent(..)))
    }

    /// Shows an event to whoever watches the gateway.
    pub(crate) fn publish(&self, name: &str, payload: &serde_json::Value) {
        let payload = windlass_protocol::RawJson::from_value(payload).unwrap();
        let mut routers = self.fakes.routers.lock().unwrap();
        routers.entry(self.gateway).or_default().publish(name, payload);
    }

    /// Starts a provisioner that only does what it is told.
    pub(crate) fn start(&self) -> Life {
        self.start_with(false)
    }

    /// Starts a provisioner that looks after the agents by itself.
    pub(crate) fn supervise(&self) -> Life {
        self.start_with(true)
    }

    /// What an actor on this store and these gateways is made of.
    pub(crate) fn parts(&self, supervise: bool) -> ProvisionerParts {
        // Each draws other tokens and keys.
        self.id();
        ProvisionerParts {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            templates: self.templates.clone(),
            fleet: Arc::clone(&self.fakes) as Arc<dyn Fleet>,
            clock: Arc::new(self.clock),
            seed: [*self.next_id.lock().unwrap(); 32],
            settings: ProvisionerSettings {
                base_url: Some("https://board.example/api".into()),
                supervise,
                keep: Keep::default(),
            },
        }
    }

    /// Starts one that is told where agents reach the service, or not.
    pub(crate) fn start_with_base_url(&self, base_url: Option<&str>) -> Life {
        let mut parts = self.parts(false);
        parts.settings.base_url = base_url.map(str::to_owned);
        Self::run(parts)
    }

    fn start_with(&self, supervise: bool) -> Life {
        Self::run(self.parts(supervise))
    }

    fn run(parts: ProvisionerParts) -> Life {
        let (provisioner, handle) = Provisioner::prepare(parts, None);
        Life {
            handle,
            task: spawn_local(provisioner.run()),
        }
    }

    /// Waits (in virtual time) until the record is as wanted.
    pub(crate) async fn wait_agent(&self, id: AgentUid, wanted: impl Fn(&Agent) -> bool) -> Agent {
        let looking = async {
            loop {
                let agent = self.agent(id).await;
                if wanted(&agent) {
                    return agent;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let limit = Duration::from_hours(1);
        tokio::time::timeout(limit, looking)
            .await
            .expect("the record comes to be so within an hour")
    }
}
