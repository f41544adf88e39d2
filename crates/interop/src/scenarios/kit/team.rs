//! Records of a small fleet: an organization, the gateway under test, a board, and four agents.

use std::path::Path;

use serde_json::json;
use windlass::store::{
    Agent, AgentRole, AgentUid, Board, BoardId, Creator, Gateway, GatewayUid, Organization, OrganizationId, Owner,
    SecretSource, Store, Timestamp,
};

use super::Bench;
use crate::{
    clock,
    process::RealGateway,
    scenario::{Failure, check},
};

/// The name under which the gateway's token is to be had.
pub(in super::super) const SECRET: &str = "gateway-under-test";

/// Four agents on one gateway.
pub(in super::super) struct Team {
    pub(in super::super) organization: Organization,
    pub(in super::super) gateway: Gateway,
    pub(in super::super) board: Board,
    pub(in super::super) main: AgentUid,
    pub(in super::super) lead: AgentUid,
    pub(in super::super) workers: [AgentUid; 2],
}

impl Team {
    /// Puts the records into the store.
    pub(in super::super) async fn enter(store: &dyn Store, real: &RealGateway) -> Result<Self, Failure> {
        let at = Timestamp::from_millis(i64::try_from(clock::since_epoch().as_millis())?);
        let organization = organization();
        let gateway = gateway(&organization, real.url(), real.state_dir(), at);
        let mut board = Board::new(
            BoardId::from_bytes([3; 16]),
            organization.id,
            Some(gateway.id),
            "Engine room",
            at,
        );
        board.objective = Some("Keep the line taut.\nNever let go.".to_owned());
        board.success_metrics = json!({"lost calls": 0}).as_object().cloned();
        board.max_agents = 2;
        let uid = |number| AgentUid::from_bytes([number; 16]);
        let mut first = Agent::new_worker(uid(12), gateway.id, board.id, "Winder", at);
        first.identity.insert("role".to_owned(), "Rope maker".to_owned());
        let agents = [
            Agent::new_main(uid(10), gateway.id, "Harbour Gateway Agent", at),
            Agent::new_lead(uid(11), gateway.id, board.id, "Lead Agent", at),
            first,
            Agent::new_worker(uid(13), gateway.id, board.id, "Käpt'n Zwei", at),
        ];
        store.put_organization(&organization).await?;
        store.insert_gateway(&gateway).await?;
        store.insert_board(&board).await?;
        for agent in &agents {
            store.insert_agent(agent, Creator::Operator).await?;
        }
        let [main, lead, one, two] = agents.map(|agent| agent.id);
        Ok(Self {
            organization,
            gateway,
            board,
            main,
            lead,
            workers: [one, two],
        })
    }

    /// All four.
    pub(in super::super) fn all(&self) -> Vec<AgentUid> {
        vec![self.main, self.lead, self.workers[0], self.workers[1]]
    }

    /// An agent's folder.
    pub(in super::super) fn workspace(&self, agent: &Agent) -> String {
        let root = self.gateway.workspace_root.as_deref().unwrap_or_default();
        let id = agent.agent_id().to_string();
        // The gateway's own agent drops the prefix.
        let own = agent.role() == AgentRole::Main;
        let name = id.strip_prefix("mc-").filter(|_| own).unwrap_or(&id);
        format!("{}/workspace-{name}", root.trim_end_matches('/'))
    }
}

/// The record of an agent that must be there.
pub(in super::super) async fn record(store: &dyn Store, id: AgentUid) -> Result<Agent, Failure> {
    let record = store.agent(id).await?;
    record.ok_or_else(|| Failure::new(format!("there is no record of {id}")))
}

/// Whether the gateway under test has calls for the files of agents.
pub(in super::super) fn has_files(bench: &Bench) -> Result<bool, Failure> {
    offers(bench, "agents.files.set")
}

/// Whether the gateway under test says that it has this method.
pub(in super::super) fn offers(bench: &Bench, method: &str) -> Result<bool, Failure> {
    let hello = bench.hello()?;
    let methods = hello.features.methods.as_deref().unwrap_or_default();
    check(!methods.is_empty(), || "the gateway names no methods".to_owned())?;
    Ok(methods.iter().any(|known| known == method))
}

fn organization() -> Organization {
    Organization {
        id: OrganizationId::from_bytes([1; 16]),
        name: "Harbour".to_owned(),
        owner: Owner {
            name: Some("Ada Ångström".to_owned()),
            preferred_name: Some("Ada".to_owned()),
            timezone: Some("Europe/Vienna".to_owned()),
            notes: Some("Writes {{ braces }} and \"quotes\".\n# Not a heading\nAUTH_TOKEN=not-a-token".to_owned()),
            ..Owner::default()
        },
    }
}

fn gateway(organization: &Organization, url: &str, state: &Path, at: Timestamp) -> Gateway {
    Gateway {
        id: GatewayUid::from_bytes([2; 16]),
        organization_id: organization.id,
        name: "Harbour".to_owned(),
        url: url.to_owned(),
        token: Some(SecretSource::Host(SECRET.to_owned())),
        workspace_root: Some(format!("{}/", state.join("fleet").display())),
        base_url: None,
        allow_insecure_tls: false,
        tls_fingerprint: None,
        disable_device_pairing: false,
        created_at: at,
    }
}
