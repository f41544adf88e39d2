//! What the proofs begin with: an organization, two gateways, three boards.

use std::sync::Arc;

use crate::{
    Agent, AgentUid, Board, BoardId, Gateway, GatewayUid, Organization, OrganizationId, Owner, RunId, SecretSource,
    Store, Timestamp,
};

pub(crate) type Shared = Arc<dyn Store>;

/// A time, in seconds after some beginning.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_342_272_345 + seconds * 1000)
}

fn bytes(kind: u8, number: u16) -> [u8; 16] {
    let mut bytes = [kind; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    bytes
}

pub(crate) fn agent_id(number: u16) -> AgentUid {
    AgentUid::from_bytes(bytes(1, number))
}

pub(crate) fn run_id(number: u16) -> RunId {
    RunId::from_bytes(bytes(2, number))
}

pub(crate) fn board_id(number: u16) -> BoardId {
    BoardId::from_bytes(bytes(3, number))
}

pub(crate) fn gateway_id(number: u16) -> GatewayUid {
    GatewayUid::from_bytes(bytes(4, number))
}

pub(crate) fn organization_id(number: u16) -> OrganizationId {
    OrganizationId::from_bytes(bytes(5, number))
}

pub(crate) fn organization(number: u16, name: &str) -> Organization {
    Organization {
        id: organization_id(number),
        name: name.into(),
        owner: Owner::default(),
    }
}

pub(crate) fn gateway(number: u16, name: &str) -> Gateway {
    Gateway {
        id: gateway_id(number),
        organization_id: organization_id(1),
        name: name.into(),
        url: "ws://127.0.0.1:18789".into(),
        token: Some(SecretSource::Env("OPENCLAW_TOKEN".into())),
        workspace_root: Some("/srv/agents/".into()),
        base_url: None,
        allow_insecure_tls: false,
        tls_fingerprint: None,
        disable_device_pairing: false,
        created_at: at(0),
    }
}

pub(crate) fn board(number: u16, gateway: Option<u16>, name: &str) -> Board {
    Board::new(
        board_id(number),
        organization_id(1),
        gateway.map(gateway_id),
        name,
        at(i64::from(number)),
    )
}

/// Organization 1; gateways 1 and 2; boards 1 and 2 on gateway 1, board 3 on gateway 2.
pub(crate) async fn furnish(store: &Shared) {
    store.put_organization(&organization(1, "Acme")).await.unwrap();
    for (number, name) in [(1, "east"), (2, "west")] {
        store.insert_gateway(&gateway(number, name)).await.unwrap();
    }
    for (number, on) in [(1, 1), (2, 1), (3, 2)] {
        store
            .insert_board(&board(number, Some(on), &format!("board {number}")))
            .await
            .unwrap();
    }
}

pub(crate) fn main_agent(number: u16, gateway: u16, name: &str) -> Agent {
    Agent::new_main(agent_id(number), gateway_id(gateway), name, at(i64::from(number)))
}

pub(crate) fn lead(number: u16, board: u16, name: &str) -> Agent {
    Agent::new_lead(
        agent_id(number),
        gateway_of(board),
        board_id(board),
        name,
        at(i64::from(number)),
    )
}

pub(crate) fn worker(number: u16, board: u16, name: &str) -> Agent {
    Agent::new_worker(
        agent_id(number),
        gateway_of(board),
        board_id(board),
        name,
        at(i64::from(number)),
    )
}

fn gateway_of(board: u16) -> GatewayUid {
    gateway_id(if board == 3 { 2 } else { 1 })
}
