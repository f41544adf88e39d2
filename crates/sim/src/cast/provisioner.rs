//! Records of agents, and the provisioner over them.

use std::sync::Arc;

use windlass::agents::{FleetReport, Job, RunOptions};
use windlass::store::{
    Agent, AgentUid, Agents as _, Board, BoardId, Boards as _, Creator, Gateway, GatewayUid, Gateways as _,
    MemoryStore, Organization, OrganizationId, Organizations as _, Owner, StoreError, Timestamp,
};
use windlass::{Clock as _, Secret, Windlass, agents};

use crate::clock::WorldClock;
use crate::site::{TOKEN, device};

/// Agents on one board of one gateway.
pub(crate) struct Agents {
    service: agents::Agents,
    records: Arc<MemoryStore>,
    workers: Vec<AgentUid>,
    clock: WorldClock,
}

impl Agents {
    /// Puts them on record, for the gateway of this name.
    pub(crate) async fn recruit(windlass: &Windlass, gateway: &str, count: usize, clock: WorldClock) -> Self {
        let records = Arc::new(MemoryStore::new());
        let workers = records_of(&records, gateway, count, Timestamp::from(clock.wall()))
            .await
            .expect("a store in memory takes records");
        let service = windlass
            .agents(Arc::clone(&records) as _)
            .base_url("https://board.example/api")
            .device(Arc::new(device()))
            .secrets(|name| (name == "gateway").then(|| Secret::new(TOKEN)))
            .supervise(false)
            .start()
            .await
            .expect("nobody else runs the agents of this store");
        Self {
            service,
            records,
            workers,
            clock,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.workers.len()
    }

    /// Provisions them all; nothing when Windlass was shut down meanwhile.
    pub(crate) async fn provision(&self) -> Option<FleetReport> {
        self.work(self.workers.clone()).await
    }

    /// Puts one more on record, and provisions all of them with it.
    pub(crate) async fn provision_with_another(&self) -> Option<(AgentUid, FleetReport)> {
        let another = AgentUid::from_bytes(id(ANOTHER));
        let now = Timestamp::from(self.clock.wall());
        let record = Agent::new_worker(another, gateway_id(), board_id(), "Oiler", now);
        let made = self.records.insert_agent(&record, Creator::Operator).await;
        made.expect("a store in memory takes records");
        let mut all = self.workers.clone();
        all.push(another);
        Some((another, self.work(all).await?))
    }

    async fn work(&self, agents: Vec<AgentUid>) -> Option<FleetReport> {
        let job = Job::Provision {
            agents,
            options: RunOptions::default(),
        };
        self.service.work(job).await.ok()?.report().await.ok()
    }
}

/// The number of the agent that comes later; those of the others begin at 10.
const ANOTHER: u8 = 9;

fn gateway_id() -> GatewayUid {
    GatewayUid::from_bytes(id(2))
}

fn board_id() -> BoardId {
    BoardId::from_bytes(id(3))
}

const fn id(number: u8) -> [u8; 16] {
    [number; 16]
}

async fn records_of(
    store: &MemoryStore,
    gateway: &str,
    count: usize,
    now: Timestamp,
) -> Result<Vec<AgentUid>, StoreError> {
    let organization = Organization {
        id: OrganizationId::from_bytes(id(1)),
        name: "Analytical Engines".into(),
        owner: Owner::default(),
    };
    store.put_organization(&organization).await?;
    let gateway = Gateway {
        id: gateway_id(),
        organization_id: organization.id,
        name: gateway.to_owned(),
        url: format!("ws://{gateway}"),
        token: Some("host:gateway".parse().expect("this names a secret")),
        workspace_root: Some("/srv/agents".into()),
        base_url: None,
        allow_insecure_tls: false,
        tls_fingerprint: None,
        disable_device_pairing: false,
        created_at: now,
    };
    store.insert_gateway(&gateway).await?;
    let board = board_id();
    let record = Board::new(board, organization.id, Some(gateway.id), "board", now);
    store.insert_board(&record).await?;
    let mut workers = Vec::new();
    for number in (10..).take(count) {
        let agent = AgentUid::from_bytes(id(number));
        let record = Agent::new_worker(agent, gateway.id, board, format!("Stoker {number}"), now);
        store.insert_agent(&record, Creator::Operator).await?;
        workers.push(agent);
    }
    Ok(workers)
}
