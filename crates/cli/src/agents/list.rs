//! `windlass agents list`.

use anstyle::Style;
use clap::Args;
use serde_json::{Value, json};
use windlass::store::{Agent, AgentStatus, Timestamp};

use crate::columns::{Cell, Table};
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::ids::short;
use crate::output::{BAD, GOOD, Output, WARN};
use crate::store::{self, Missing, Records, shown};
use crate::text::{escaped, span};

/// Longest error shown, in characters; `--json` shows all of it.
const ERROR_LIMIT: usize = 500;

/// Show agents: how they are, when they were seen, and what went wrong
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Those of this board only
    #[arg(long, value_name = "BOARD")]
    board: Option<String>,
    /// Those of this gateway only
    #[arg(long, value_name = "GATEWAY")]
    on: Option<String>,
}

pub(crate) async fn run(global: &Global, args: &ListArgs, output: &Output) -> Result<Exit, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let board = args.board.as_deref().map(|name| records.board(name)).transpose()?;
    let gateway = args.on.as_deref().map(|name| records.gateway(name)).transpose()?;
    let wanted = |agent: &&Agent| {
        board.is_none_or(|board| agent.board_id == Some(board.id))
            && gateway.is_none_or(|gateway| agent.gateway_id == gateway.id)
    };
    let agents: Vec<&Agent> = records.agents.iter().filter(wanted).collect();
    let now = store::now();
    if output.json() {
        let rows: Vec<_> = agents.iter().map(|agent| as_json(&records, agent, now)).collect();
        output.value(&json!({"agents": rows}))?;
    } else {
        output.line(&lines(&records, &agents, now, output.width()).join("\n"))?;
    }
    Ok(Exit::Ok)
}

fn lines(records: &Records, agents: &[&Agent], now: Timestamp, width: usize) -> Vec<String> {
    let rows: Vec<Vec<Cell>> = agents.iter().map(|agent| row(records, agent, now)).collect();
    let headings = ["AGENT", "ROLE", "BOARD", "GATEWAY", "STATUS", "SEEN", "DEADLINE", "ID"];
    let table = Table::new(&headings, &rows).spare(&["DEADLINE", "ROLE", "SEEN", "ID"]);
    table.lines_with(width, |index| {
        let why = agents[index].last_provision_error.as_ref();
        let why = why.map(|error| format!("  {BAD}why:{BAD:#}  {}", escaped(error, ERROR_LIMIT)));
        why.into_iter().collect()
    })
}

fn row(records: &Records, agent: &Agent, now: Timestamp) -> Vec<Cell> {
    let dash = || "-".to_owned();
    let status = agent.shown_status(now);
    let ago = |at: Timestamp| format!("{} ago", span(now.saturating_duration_since(at)));
    let left = |at: Timestamp| {
        if at > now {
            format!("in {}", span(at.saturating_duration_since(now)))
        } else {
            "over".to_owned()
        }
    };
    vec![
        Cell::plain(shown(&agent.name)),
        Cell::plain(agent.role()),
        Cell::plain(agent.board_id.map_or_else(dash, |board| records.board_name(board))),
        Cell::plain(records.gateway_name(agent.gateway_id)),
        Cell::styled(status, style_of(status)),
        Cell::plain(agent.last_seen_at.map_or_else(dash, ago)),
        Cell::plain(agent.checkin_deadline_at.map_or_else(dash, left)),
        Cell::plain(short(agent.id)),
    ]
}

const fn style_of(status: AgentStatus) -> Style {
    match status {
        AgentStatus::Online => GOOD,
        AgentStatus::Offline => BAD,
        _ => WARN,
    }
}

pub(crate) fn as_json(records: &Records, agent: &Agent, now: Timestamp) -> Value {
    json!({
        "id": agent.id,
        "name": agent.name,
        "role": agent.role(),
        "board": agent.board_id,
        "boardName": agent.board_id.map(|board| records.board_name(board)),
        "gateway": agent.gateway_id,
        "gatewayName": records.gateway_name(agent.gateway_id),
        "agentId": agent.agent_id().to_string(),
        "sessionKey": agent.session_key.to_string(),
        "status": agent.shown_status(now),
        "storedStatus": agent.status,
        "lastSeenAt": agent.last_seen_at,
        "lastWakeSentAt": agent.last_wake_sent_at,
        "wakeAttempts": agent.wake_attempts,
        "checkinDeadlineAt": agent.checkin_deadline_at,
        "generation": agent.lifecycle_generation,
        "error": agent.last_provision_error,
        "heartbeat": agent.heartbeat,
        "identity": agent.identity,
        "createdAt": agent.created_at,
    })
}
