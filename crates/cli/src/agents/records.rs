//! `windlass agents add`, `list` and `checkin`: commands that work with the store alone.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anstyle::Style;
use clap::Args;
use serde_json::{Map, Value, json};
use windlass::store::limits::TEMPLATE_BYTES;
use windlass::store::{Agent, AgentStatus, AgentUid, Agents as _, CheckIn, SecretSource, Timestamp};
use windlass_operations::agent_records::{self, AgentInput, AgentPlace, heartbeat_every};
use windlass_operations::agents::FileForm;
use windlass_protocol::Advice;

use crate::change::{caller, changed};
use crate::columns::{Cell, TextTable};
use crate::config::{Environment, GivenSecret};
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::{BAD, GOOD, Output, WARN};
use crate::store::{self, Missing, Records, random, short, shown};
use crate::text::{escaped, span};

/// Add an agent to the store; windlass agents provision creates it on its gateway
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  windlass agents add --board Docs --lead
  windlass agents add Scribe --board Docs --role Writer --emoji :pen: --heartbeat-every 15m
  windlass agents add --main lab")]
pub(crate) struct AgentsAddArgs {
    /// The name; leads and main agents have a default
    name: Option<String>,
    /// The id, a UUID, to keep the one of another system [default: a new one]
    #[arg(long, value_name = "UUID")]
    id: Option<AgentUid>,
    #[command(flatten)]
    place: PlaceArgs,
    /// The agent is the lead of the board
    #[arg(long, conflicts_with = "main")]
    lead: bool,
    /// The time between heartbeats, for example 10m; 0m for never [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = every)]
    heartbeat_every: Option<String>,
    /// A template of SOUL.md for this agent
    #[arg(long, value_name = "FILE")]
    soul_template: Option<PathBuf>,
    /// A template of IDENTITY.md for this agent
    #[arg(long, value_name = "FILE")]
    identity_template: Option<PathBuf>,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// Where it lives.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct PlaceArgs {
    /// The agent works on this board
    #[arg(long, value_name = "BOARD")]
    board: Option<String>,
    /// The agent is the main agent of this gateway
    #[arg(long, value_name = "GATEWAY")]
    main: Option<String>,
}

/// The character of an agent.
#[derive(Debug, Args)]
#[command(next_help_heading = "Character")]
pub(crate) struct IdentityArgs {
    /// The role [default: Generalist]
    #[arg(long, value_name = "TEXT")]
    role: Option<String>,
    /// The purpose
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// The emoji [default: :gear:]
    #[arg(long, value_name = "EMOJI")]
    emoji: Option<String>,
    /// The communication style
    #[arg(long, value_name = "TEXT")]
    communication_style: Option<String>,
    /// The personality
    #[arg(long, value_name = "TEXT")]
    personality: Option<String>,
    /// The level of autonomy
    #[arg(long, value_name = "TEXT")]
    autonomy_level: Option<String>,
    /// The verbosity
    #[arg(long, value_name = "TEXT")]
    verbosity: Option<String>,
    /// The format of its answers
    #[arg(long, value_name = "TEXT")]
    output_format: Option<String>,
    /// The cadence of its reports
    #[arg(long, value_name = "TEXT")]
    update_cadence: Option<String>,
    /// Other instructions
    #[arg(long, value_name = "TEXT")]
    custom_instructions: Option<String>,
}

impl IdentityArgs {
    /// The given values.
    pub(crate) fn given(&self) -> BTreeMap<String, String> {
        let all = [
            ("role", &self.role),
            ("purpose", &self.purpose),
            ("emoji", &self.emoji),
            ("communication_style", &self.communication_style),
            ("personality", &self.personality),
            ("autonomy_level", &self.autonomy_level),
            ("verbosity", &self.verbosity),
            ("output_format", &self.output_format),
            ("update_cadence", &self.update_cadence),
            ("custom_instructions", &self.custom_instructions),
        ];
        let given = all
            .into_iter()
            .filter_map(|(key, text)| Some((key.to_owned(), text.clone()?)));
        given.collect()
    }
}

/// A span as gateways read it.
pub(crate) fn every(text: &str) -> Result<String, String> {
    Ok(heartbeat_every(text)?.to_owned())
}

/// The heartbeat settings with this interval.
pub(crate) fn heartbeat(every: &str) -> Map<String, Value> {
    Map::from_iter([("every".to_owned(), Value::from(every))])
}

pub(crate) async fn add(global: &Global, args: AgentsAddArgs, output: &Output) -> Result<ExitCode, Failure> {
    let mut records = Records::open(global, Missing::Refuse).await?;
    let input = AgentInput {
        id: args.id,
        name: args.name.clone(),
        heartbeat: args.heartbeat_every.as_deref().map(heartbeat).unwrap_or_default(),
        identity: args.identity.given(),
        soul: template("--soul-template", args.soul_template.as_deref())?,
        identity_file: template("--identity-template", args.identity_template.as_deref())?,
        ..AgentInput::default()
    };
    let caller = caller();
    let agent = agent_records::insert(
        &changed(&*records.store, &caller),
        place(&records, &args)?,
        input,
        random()?,
    )
    .await?;
    records.agents.push(agent.clone());
    if output.json() {
        output.value(&as_json(&records, &agent, store::now()))?;
    } else {
        let (name, place) = (shown(&agent.name), records.place_of(&agent));
        output.line(&format!(
            "{} {name} added to {place} ({})",
            agent.role(),
            short(agent.id)
        ))?;
    }
    Ok(ExitCode::Ok)
}

/// The place that the flags name.
fn place<'a>(records: &'a Records, args: &AgentsAddArgs) -> Result<AgentPlace<'a>, Failure> {
    if let Some(gateway) = &args.place.main {
        return Ok(AgentPlace::Main(records.gateway(gateway)?));
    }
    let board = records.board(args.place.board.as_deref().unwrap_or_default())?;
    if args.lead {
        return Ok(AgentPlace::Lead(board));
    }
    if args.name.is_none() {
        return Err(Failure::usage(
            "a worker needs a name",
            "Give it before the flags: windlass agents add NAME --board BOARD.",
        ));
    }
    Ok(AgentPlace::Worker(board))
}

/// The source of a template.
pub(crate) fn template(flag: &'static str, path: Option<&Path>) -> Result<Option<FileForm>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let source = windlass_files::read_text(path, TEMPLATE_BYTES).map_err(|error| {
        let next_step = match error.kind() {
            ErrorKind::FileTooLarge => "Give a shorter one: it becomes part of a prompt.",
            _ => "Name a text file.",
        };
        Failure::usage(
            format!("flag {flag}: {} can't be read: {error}", path.display()),
            next_step,
        )
    })?;
    Ok(Some(FileForm::Template(source)))
}

/// Longest error shown, in characters; `--json` shows all of it.
const ERROR_LIMIT: usize = 500;

/// List agents with their status, last check-in and last error
#[derive(Debug, Args)]
pub(crate) struct AgentsListArgs {
    /// Only agents of this board
    #[arg(long, value_name = "BOARD")]
    board: Option<String>,
    /// Only agents of this gateway
    #[arg(long, value_name = "GATEWAY")]
    on: Option<String>,
}

pub(crate) async fn list(global: &Global, args: &AgentsListArgs, output: &Output) -> Result<ExitCode, Failure> {
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
    Ok(ExitCode::Ok)
}

fn lines(records: &Records, agents: &[&Agent], now: Timestamp, width: usize) -> Vec<String> {
    let rows: Vec<Vec<Cell>> = agents.iter().map(|agent| row(records, agent, now)).collect();
    let headings = ["AGENT", "ROLE", "BOARD", "GATEWAY", "STATUS", "SEEN", "DEADLINE", "ID"];
    let table = TextTable::new(&headings, &rows).spare(&["DEADLINE", "ROLE", "SEEN", "ID"]);
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

/// Check in on behalf of an agent
///
/// Needs the agent's token: the AUTH_TOKEN in its workspace.
#[derive(Debug, Args)]
pub(crate) struct CheckinArgs {
    /// The agent, by name, id or a unique beginning of the id
    agent: String,
    #[command(flatten)]
    token: AgentTokenArgs,
    /// The status [default: online]
    #[arg(long, value_name = "STATUS", value_parser = ["online", "offline", "updating", "provisioning"])]
    status: Option<String>,
}

/// Where its token is.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct AgentTokenArgs {
    /// The environment variable that holds the agent's token
    #[arg(long, value_name = "VAR")]
    token_env: Option<String>,
    /// The file that holds the agent's token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(crate) async fn checkin(global: &Global, args: &CheckinArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agent = records.agent(&args.agent)?;
    let token = args.token.read()?;
    if !agent.knows_token(token.expose()) {
        return Err(Failure::Told(
            ExitCode::Refused,
            Advice::new(
                format!("that is not the token of {}", shown(&agent.name)),
                "Read the AUTH_TOKEN in the agent's workspace, or give it a new one: windlass agents rotate-token.",
            ),
        ));
    }
    let status: Option<AgentStatus> = args.status.as_deref().and_then(|name| name.parse().ok());
    let now = store::now();
    let seen = records.store.check_in(agent.id, CheckIn { at: now, status }).await?;
    let Some(seen) = seen else {
        return Err(Failure::usage(
            format!("{} is gone", shown(&agent.name)),
            "See windlass agents list.",
        ));
    };
    if output.json() {
        output.value(&json!({"checkedIn": true, "agent": as_json(&records, &seen, now)}))?;
    } else {
        output.line(&format!("{} is {}", shown(&seen.name), seen.status))?;
    }
    Ok(ExitCode::Ok)
}

impl AgentTokenArgs {
    fn read(&self) -> Result<windlass_protocol::Secret, Failure> {
        let (place, source) = match (&self.token_env, &self.token_file) {
            (Some(name), _) => ("flag --token-env", SecretSource::Env(name.clone())),
            (None, Some(path)) => ("flag --token-file", SecretSource::File(path.clone())),
            (None, None) => return Err(Failure::usage("no token is given", "Give --token-env or --token-file.")),
        };
        let variable = |name: &str| std::env::var_os(name);
        let environment = Environment {
            variable: &variable,
            folder: std::env::current_dir().unwrap_or_default(),
        };
        Ok(GivenSecret::Stored(source).read(place, &environment)?)
    }
}
