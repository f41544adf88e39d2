//! A lead and two workers, from their records to their wake; then the same again, which changes nothing.
//!
//! Without arguments it plays on a simulated gateway. `cargo run --example provision_agents`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use windlass::agents::{Agents, Job, ProvisionProgress, RunOptions};
use windlass::store::{
    Agent, AgentUid, Agents as _, Board, BoardId, Boards as _, Creator, Gateway, GatewayUid, Gateways as _,
    MemoryStore, Organization, OrganizationId, Organizations as _, Owner, Timestamp,
};
use windlass::{Clock as _, DeviceIdentity, Secret, TokioClock, Windlass};
use windlass_testkit::SimGateway;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let gateway = SimGateway::builder().start_tcp().await?;
    let store = Arc::new(MemoryStore::new());
    let team = team(&store, &gateway.url()).await?;

    let windlass = Windlass::start()?;
    let token = gateway.token().unwrap_or_default();
    let agents = windlass
        .agents(store)
        .base_url("https://board.example/api")
        // A real program leaves this out: the machine's own identity is what it should show.
        .device(Arc::new(DeviceIdentity::from_seed([7; 32])))
        .secrets(move |name| (name == "lab").then(|| Secret::new(token.clone())))
        .start()
        .await?;
    provision(&agents, &team).await?;
    provision(&agents, &team).await?;

    drop(agents);
    windlass.shutdown(Duration::from_secs(5)).await;
    gateway.shutdown().await;
    Ok(())
}

async fn provision(agents: &Agents, team: &[AgentUid]) -> Result<(), Box<dyn Error>> {
    let job = Job::Provision {
        agents: team.to_vec(),
        options: RunOptions::default(),
    };
    let mut operation = agents.work(job).await?;
    while let Some(news) = operation.next().await {
        if let ProvisionProgress::Step { name, step, .. } = news {
            println!("{name}: {step}");
        }
    }
    let report = operation.report().await?;
    let changed = report.changed().count();
    println!(
        "{changed} changed, {} writes of the configuration",
        report.config_writes
    );
    Ok(())
}

/// The records: an organization, its gateway, a board, and who works there.
async fn team(store: &MemoryStore, url: &str) -> Result<Vec<AgentUid>, Box<dyn Error>> {
    let now = Timestamp::from(TokioClock::start().wall());
    let organization = Organization {
        id: OrganizationId::from_bytes([1; 16]),
        name: "Analytical Engines".into(),
        owner: Owner::default(),
    };
    store.put_organization(&organization).await?;
    let gateway = Gateway {
        id: GatewayUid::from_bytes([2; 16]),
        organization_id: organization.id,
        name: "lab".into(),
        url: url.into(),
        token: Some("host:lab".parse()?),
        workspace_root: Some("/srv/agents".into()),
        base_url: None,
        allow_insecure_tls: false,
        tls_fingerprint: None,
        disable_device_pairing: false,
        created_at: now,
    };
    store.insert_gateway(&gateway).await?;
    let board = BoardId::from_bytes([3; 16]);
    let record = Board::new(board, organization.id, Some(gateway.id), "Engine room", now);
    store.insert_board(&record).await?;
    let (lead, ada, charles) = (
        AgentUid::from_bytes([4; 16]),
        AgentUid::from_bytes([5; 16]),
        AgentUid::from_bytes([6; 16]),
    );
    for agent in [
        Agent::new_lead(lead, gateway.id, board, "Lead Agent", now),
        Agent::new_worker(ada, gateway.id, board, "Ada", now),
        Agent::new_worker(charles, gateway.id, board, "Charles", now),
    ] {
        store.insert_agent(&agent, Creator::Operator).await?;
    }
    Ok(vec![lead, ada, charles])
}
