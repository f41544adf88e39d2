//! Records of agents: made, changed, moved to another board. Provisioning brings a change to the gateway.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use windlass_store::{Agent, AgentRole, AgentStatus, AgentUid, Board, Creator, Gateway, amend};

use crate::access::{Caller, Scope};
use crate::agents::{AgentView, FileForm, find};
use crate::audit::{self, AuditChange, Records};
use crate::boards;
use crate::error::{OperationError, OperationErrorCode};
use crate::gateway_records::{given, main_agent_name, recorded};
use crate::service::Service;

/// The name of a board's lead, unless it is given another one.
pub const LEAD_NAME: &str = "Lead Agent";

/// An agent to record. It comes to its gateway by `POST /api/v1/agents/provision`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentInput {
    /// Its id; a new one by default.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub id: Option<AgentUid>,
    /// Its name; a lead and a main agent have a default.
    #[schema(max_length = 120)]
    pub name: Option<String>,
    /// The board it works on, by id or name.
    pub board: Option<String>,
    /// The gateway of which it is the main agent, by id or name.
    pub main_of: Option<String>,
    /// Whether it leads its board.
    #[serde(default)]
    pub lead: bool,
    /// Its heartbeat settings: `every` is a number with a unit, for example `10m`, or `0m` for never.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub heartbeat: Map<String, Value>,
    /// Its identity, over the defaults of its role.
    #[serde(default)]
    pub identity: BTreeMap<String, String>,
    /// Its own SOUL.md.
    pub soul: Option<FileForm>,
    /// Its own IDENTITY.md.
    pub identity_file: Option<FileForm>,
}

/// Changes of an agent. A member that is missing stays as it is; `null` removes the value.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentPatch {
    /// The new name.
    #[schema(min_length = 1, max_length = 120)]
    pub name: Option<String>,
    /// Its heartbeat settings, all of them.
    #[schema(value_type = Option<Object>)]
    pub heartbeat: Option<Map<String, Value>>,
    /// Entries of its identity: `null` removes an entry, entries that are missing stay as they are.
    pub identity: Option<BTreeMap<String, Option<String>>>,
    /// Its own SOUL.md.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<FileForm>)]
    pub soul: Option<Option<FileForm>>,
    /// Its own IDENTITY.md.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<FileForm>)]
    pub identity_file: Option<Option<FileForm>>,
    /// The board that a worker moves to, by id or name. An agent that was provisioned stays on its gateway.
    pub board: Option<String>,
}

/// The place of a new agent.
#[derive(Debug, Clone, Copy)]
pub enum AgentPlace<'a> {
    /// The main agent of a gateway.
    Main(&'a Gateway),
    /// The lead of a board.
    Lead(&'a Board),
    /// A worker of a board.
    Worker(&'a Board),
}

/// The identity that agents of a role have, unless they are given another one.
pub const fn default_identity(role: AgentRole) -> &'static [(&'static str, &'static str)] {
    match role {
        AgentRole::Main => &[("role", "Gateway Agent"), ("emoji", ":compass:")],
        AgentRole::Lead => &[("role", "Board Lead")],
        AgentRole::Worker => &[],
    }
}

/// The time between heartbeats as gateways read it: a number with a unit, or `0m` for never.
///
/// # Errors
/// In words, the form that is expected.
pub fn heartbeat_every(text: &str) -> Result<&str, &'static str> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => 0,
    };
    let seconds = digits.parse::<u64>().unwrap_or(0).saturating_mul(factor);
    // A day at most: an agent that is quiet for longer can't be told from one that is gone.
    if text == "0m" || (1..=24 * 3600).contains(&seconds) {
        Ok(text)
    } else {
        Err("expected a number with a unit: 30s, 10m or 1h (24h at most), or 0m for never")
    }
}

/// Records an agent.
///
/// # Errors
/// Missing scope, no such board or gateway, a member that is not acceptable, or a name that is taken.
pub async fn create(
    service: &Service,
    caller: &Caller,
    input: AgentInput,
    random: [u8; 16],
) -> Result<AgentView, OperationError> {
    caller.require(Scope::Write)?;
    let records = service.records(caller);
    let agent = match (&input.board, &input.main_of) {
        (None, Some(gateway)) if !input.lead => {
            let gateway = recorded(service, gateway).await?;
            insert(&records, AgentPlace::Main(&gateway), input, random).await?
        }
        (Some(board), None) => {
            let board = boards::find(records.store, board).await?;
            let place = if input.lead {
                AgentPlace::Lead(&board)
            } else {
                AgentPlace::Worker(&board)
            };
            insert(&records, place, input, random).await?
        }
        _ => {
            return Err(OperationError::invalid(
                "board",
                "or main_of is to be given, and not both; a lead has a board",
            ));
        }
    };
    Ok(AgentView::of(&agent, records.now))
}

/// Records an agent in a place that was found already.
///
/// # Errors
/// Missing scope, a member that is not acceptable, or a name or place that is taken.
pub async fn insert(
    records: &Records<'_>,
    place: AgentPlace<'_>,
    input: AgentInput,
    random: [u8; 16],
) -> Result<Agent, OperationError> {
    records.require(Scope::Write)?;
    check_heartbeat(&input.heartbeat)?;
    let id = input.id.unwrap_or_else(|| AgentUid::from_bytes(random));
    let mut agent = placed(records, place, input.name.as_deref(), id)?;
    let defaults = default_identity(agent.role()).iter();
    agent.identity = defaults
        .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
        .collect();
    agent.identity.extend(input.identity);
    agent.heartbeat = input.heartbeat;
    agent.soul_override = input.soul.map(Into::into);
    agent.identity_override = input.identity_file.map(Into::into);
    let agent = records.store.insert_agent(&agent, Creator::Operator).await?;
    note(records, "agent.created", &agent, &format!("agent {:?}", agent.name)).await?;
    Ok(agent)
}

fn placed(
    records: &Records<'_>,
    place: AgentPlace<'_>,
    name: Option<&str>,
    id: AgentUid,
) -> Result<Agent, OperationError> {
    let name = name.map(str::trim).filter(|name| !name.is_empty());
    let gateway_of = |board: &Board| board.gateway_id.ok_or_else(|| no_gateway(board));
    Ok(match place {
        AgentPlace::Main(gateway) => {
            let default = main_agent_name(&gateway.name);
            Agent::new_main(id, gateway.id, name.unwrap_or(&default), records.now)
        }
        AgentPlace::Lead(board) => {
            let name = name.unwrap_or(LEAD_NAME);
            Agent::new_lead(id, gateway_of(board)?, board.id, name, records.now)
        }
        AgentPlace::Worker(board) => {
            let name = name.ok_or_else(|| OperationError::invalid("name", "is missing: a worker needs one"))?;
            Agent::new_worker(id, gateway_of(board)?, board.id, name, records.now)
        }
    })
}

fn no_gateway(board: &Board) -> OperationError {
    OperationError {
        field: Some("board".into()),
        ..OperationError::new(
            OperationErrorCode::Conflict,
            format!("Board {:?} has no gateway", board.name),
            "Give it one: windlass boards set BOARD --on GATEWAY.",
        )
    }
}

/// Changes an agent's record. The gateway gets the change with the next provisioning.
///
/// # Errors
/// Missing scope, no such agent or board, a member that is not acceptable, or a name that is taken.
pub async fn update(
    service: &Service,
    caller: &Caller,
    agent: &str,
    patch: AgentPatch,
) -> Result<AgentView, OperationError> {
    caller.require(Scope::Write)?;
    let records = service.records(caller);
    let before = find(records.store, agent).await?;
    let board = match &patch.board {
        Some(board) => Some(boards::find(records.store, board).await?),
        None => None,
    };
    let after = change(&records, &before, board.as_ref(), &patch).await?;
    Ok(AgentView::of(&after, records.now))
}

/// Changes an agent's record. `board` is the one that the patch names, if it names one.
///
/// # Errors
/// Missing scope, a member that is not acceptable, a name that is taken, or an agent that can't be moved there.
pub async fn change(
    records: &Records<'_>,
    before: &Agent,
    board: Option<&Board>,
    patch: &AgentPatch,
) -> Result<Agent, OperationError> {
    records.require(Scope::Write)?;
    if let Some(heartbeat) = &patch.heartbeat {
        check_heartbeat(heartbeat)?;
    }
    // The agent may have changed since it was found, so what is refused is decided on the record that is written.
    let mut outcome = Ok(String::new());
    let amended = amend(records.store, before.id, |agent| {
        let present = agent.clone();
        outcome = applied(agent, board, patch).map(|()| changes(&present, agent));
        if outcome.is_err() {
            *agent = present;
        }
    })
    .await?;
    let after = amended.ok_or_else(|| OperationError::not_found("agent", &before.name))?;
    let changes = outcome?;
    let message = format!("agent {:?}: {changes}", before.name);
    note(records, "agent.updated", &after, &message).await?;
    Ok(after)
}

fn applied(agent: &mut Agent, board: Option<&Board>, patch: &AgentPatch) -> Result<(), OperationError> {
    if agent.status == AgentStatus::Deleting {
        return Err(OperationError::new(
            OperationErrorCode::Conflict,
            format!("Agent {:?} is being deleted", agent.name),
            "Add it again after its end.",
        ));
    }
    if let Some(board) = board.filter(|board| agent.board_id != Some(board.id)) {
        move_to(agent, board)?;
    }
    if let Some(name) = &patch.name {
        name.trim().clone_into(&mut agent.name);
    }
    if let Some(heartbeat) = &patch.heartbeat {
        agent.heartbeat.clone_from(heartbeat);
    }
    for (key, text) in patch.identity.iter().flatten() {
        match text {
            Some(text) => agent.identity.insert(key.clone(), text.clone()),
            None => agent.identity.remove(key),
        };
    }
    if let Some(soul) = &patch.soul {
        agent.soul_override = soul.clone().map(Into::into);
    }
    if let Some(file) = &patch.identity_file {
        agent.identity_override = file.clone().map(Into::into);
    }
    Ok(())
}

/// Puts a worker onto another board. Its session and its id on the gateway stay as they are.
fn move_to(agent: &mut Agent, board: &Board) -> Result<(), OperationError> {
    let refused = |why: String| OperationError {
        field: Some("board".into()),
        ..OperationError::new(
            OperationErrorCode::Conflict,
            why,
            "Add another agent there, and delete this one.",
        )
    };
    if agent.role() != AgentRole::Worker {
        let why = format!(
            "Agent {:?} is a {} agent, and only workers move",
            agent.name,
            agent.role()
        );
        return Err(refused(why));
    }
    let gateway = board.gateway_id.ok_or_else(|| no_gateway(board))?;
    if gateway != agent.gateway_id && agent.lifecycle_generation > 0 {
        let why = format!(
            "Agent {:?} was provisioned on its gateway, and board {:?} is on another one",
            agent.name, board.name
        );
        return Err(refused(why));
    }
    agent.gateway_id = gateway;
    agent.board_id = Some(board.id);
    Ok(())
}

fn changes(before: &Agent, after: &Agent) -> String {
    audit::changed_members(&[
        ("name", before.name != after.name),
        ("board", before.board_id != after.board_id),
        ("heartbeat", before.heartbeat != after.heartbeat),
        ("identity", before.identity != after.identity),
        ("soul", before.soul_override != after.soul_override),
        ("identity_file", before.identity_override != after.identity_override),
    ])
}

fn check_heartbeat(heartbeat: &Map<String, Value>) -> Result<(), OperationError> {
    let refused = |why: &str| OperationError::invalid("heartbeat.every", format!("is not a time: {why}"));
    match heartbeat.get("every") {
        None => Ok(()),
        Some(Value::String(every)) => heartbeat_every(every).map(drop).map_err(refused),
        Some(_) => Err(refused("expected a text")),
    }
}

async fn note(records: &Records<'_>, kind: &str, agent: &Agent, message: &str) -> Result<(), OperationError> {
    let change = AuditChange {
        agent: Some(agent.id),
        board: agent.board_id,
        ..AuditChange::new(kind, message)
    };
    records.audit(change).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_a_number_with_a_unit_or_never() {
        for good in ["30s", " 10m ", "1h", "24h", "0m"] {
            assert_eq!(heartbeat_every(good), Ok(good.trim()));
        }
        for bad in ["", "often", "10", "m", "0s", "25h", "500ms", "1d", "-1m", "1.5h"] {
            assert!(heartbeat_every(bad).is_err(), "{bad}");
        }
    }
}
