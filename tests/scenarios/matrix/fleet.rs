//! Records of agents, and the provisioner over them.

use std::sync::Arc;

use windlass::agents::{Agents, FleetReport, Job, RunOptions};
use windlass::store::{
    Agent, AgentUid, Agents as _, Board, BoardId, Boards as _, Creator, Gateway, GatewayUid, Gateways as _,
    MemoryStore, Organization, OrganizationId, Organizations as _, Owner, Timestamp,
};
use windlass::{Clock as _, Secret, TokioClock, Windlass};

use crate::bench::{TOKEN, device};

/// Agents that are provisioned.
const AGENTS: u8 = 3;

pub(super) struct Fleet {
    pub(super) agents: Agents,
    workers: Vec<AgentUid>,
}

const fn id(number: u8) -> [u8; 16] {
    [number; 16]
}

fn now() -> Timestamp {
    Timestamp::from(TokioClock::start().wall())
}

impl Fleet {
    /// Workers on one board of one gateway, whose host is `gw`.
    pub(super) async fn new(windlass: &Windlass) -> Self {
        let store = Arc::new(MemoryStore::new());
        let workers = records(&store).await;
        let agents = windlass
            .agents(store)
            .base_url("https://board.example/api")
            .device(Arc::new(device()))
            .secrets(|name| (name == "gateway").then(|| Secret::new(TOKEN)))
            .supervise(false)
            .start()
            .await
            .unwrap();
        Self { agents, workers }
    }

    pub(super) async fn provision(&self) -> FleetReport {
        let job = Job::Provision {
            agents: self.workers.clone(),
            options: RunOptions::default(),
        };
        self.agents.work(job).await.unwrap().report().await.unwrap()
    }
}

async fn records(store: &MemoryStore) -> Vec<AgentUid> {
    let organization = Organization {
        id: OrganizationId::from_bytes(id(1)),
        name: "Analytical Engines".into(),
        owner: Owner::default(),
    };
    store.put_organization(&organization).await.unwrap();
    let gateway = Gateway {
        id: GatewayUid::from_bytes(id(2)),
        organization_id: organization.id,
        name: "gw".into(),
        url: "ws://gw".into(),
        token: Some("host:gateway".parse().unwrap()),
        workspace_root: Some("/srv/agents".into()),
        base_url: None,
        allow_insecure_tls: false,
        tls_fingerprint: None,
        disable_device_pairing: false,
        created_at: now(),
    };
    store.insert_gateway(&gateway).await.unwrap();
    let board = BoardId::from_bytes(id(3));
    let record = Board::new(board, organization.id, Some(gateway.id), "board", now());
    store.insert_board(&record).await.unwrap();
    let mut workers = Vec::new();
    for number in 0..AGENTS {
        let agent = AgentUid::from_bytes(id(10 + number));
        let record = Agent::new_worker(agent, gateway.id, board, format!("Stoker {number}"), now());
        store.insert_agent(&record, Creator::Operator).await.unwrap();
        workers.push(agent);
    }
    workers
}
