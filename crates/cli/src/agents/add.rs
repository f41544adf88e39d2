//! `windlass agents add`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};
use windlass::store::limits::TEMPLATE_BYTES;
use windlass::store::{Agent, AgentRole, AgentUid, Agents as _, Creator, FileOverride};

use crate::agents::list::as_json;
use crate::config::parse_span;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::ids::{self, short};
use crate::output::Output;
use crate::store::{self, Missing, Records, shown};

/// The name of a board's lead, unless another is given.
const LEAD_NAME: &str = "Lead Agent";

/// Add an agent: its record, until windlass agents provision brings it to life
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  windlass agents add --board Docs --lead
  windlass agents add Scribe --board Docs --role Writer --emoji :pen: --heartbeat-every 15m
  windlass agents add --main lab")]
pub(crate) struct AddArgs {
    /// Its name; leads and main agents have one unless another is given
    name: Option<String>,
    #[command(flatten)]
    place: Place,
    /// It leads the board
    #[arg(long, conflicts_with = "main")]
    lead: bool,
    /// How often it has a heartbeat, for example 10m; 0m for never [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = every)]
    heartbeat_every: Option<String>,
    /// Its own template of SOUL.md
    #[arg(long, value_name = "FILE")]
    soul_template: Option<PathBuf>,
    /// Its own template of IDENTITY.md
    #[arg(long, value_name = "FILE")]
    identity_template: Option<PathBuf>,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// Where it lives.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// It works on this board
    #[arg(long, value_name = "BOARD")]
    board: Option<String>,
    /// It is the own agent of this gateway
    #[arg(long, value_name = "GATEWAY")]
    main: Option<String>,
}

/// Who it is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Who it is")]
struct IdentityArgs {
    /// Its role [default: Generalist]
    #[arg(long, value_name = "TEXT")]
    role: Option<String>,
    /// What it is there for
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// Its emoji [default: :gear:]
    #[arg(long, value_name = "EMOJI")]
    emoji: Option<String>,
    /// How it speaks
    #[arg(long, value_name = "TEXT")]
    communication_style: Option<String>,
    /// What it is like
    #[arg(long, value_name = "TEXT")]
    personality: Option<String>,
    /// How much it decides by itself
    #[arg(long, value_name = "TEXT")]
    autonomy_level: Option<String>,
    /// How much it says
    #[arg(long, value_name = "TEXT")]
    verbosity: Option<String>,
    /// In which form it answers
    #[arg(long, value_name = "TEXT")]
    output_format: Option<String>,
    /// How often it reports
    #[arg(long, value_name = "TEXT")]
    update_cadence: Option<String>,
    /// What else it is to observe
    #[arg(long, value_name = "TEXT")]
    custom_instructions: Option<String>,
}

impl IdentityArgs {
    /// What was given, over what the role brings along.
    fn profile(&self, role: AgentRole) -> BTreeMap<String, String> {
        let brought = match role {
            AgentRole::Main => &[("role", "Gateway Agent"), ("emoji", ":compass:")][..],
            AgentRole::Lead => &[("role", "Board Lead")],
            AgentRole::Worker => &[],
        };
        let given = [
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
        let given = given
            .into_iter()
            .filter_map(|(key, text)| Some((key, text.as_deref()?)));
        let all = brought.iter().copied().chain(given);
        all.map(|(key, text)| (key.to_owned(), text.to_owned())).collect()
    }
}

/// A span as gateways read it.
fn every(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text == "0m" || !text.ends_with("ms") && parse_span(text).is_ok() {
        Ok(text.to_owned())
    } else {
        Err("a number with its unit is wanted: 30s, 10m or 1h, or 0m for never".into())
    }
}

pub(crate) async fn run(global: &Global, args: AddArgs, output: &Output) -> Result<Exit, Failure> {
    let mut records = Records::open(global, Missing::Refuse).await?;
    let mut agent = placed(&records, &args)?;
    agent.identity = args.identity.profile(agent.role());
    if let Some(every) = args.heartbeat_every {
        agent.heartbeat = Map::from_iter([("every".to_owned(), Value::from(every))]);
    }
    agent.soul_override = template("--soul-template", args.soul_template.as_deref())?;
    agent.identity_override = template("--identity-template", args.identity_template.as_deref())?;
    let agent = records.store.insert_agent(&agent, Creator::Operator).await?;
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
    Ok(Exit::Ok)
}

/// The record with its place and its name.
fn placed(records: &Records, args: &AddArgs) -> Result<Agent, Failure> {
    let (id, now) = (ids::new_id(AgentUid::from_bytes)?, store::now());
    let name = args.name.as_deref().map(str::trim);
    if let Some(gateway) = &args.place.main {
        let gateway = records.gateway(gateway)?;
        let name = name.map_or_else(|| format!("{} Gateway Agent", gateway.name), str::to_owned);
        return Ok(Agent::new_main(id, gateway.id, name, now));
    }
    let board = records.board(args.place.board.as_deref().unwrap_or_default())?;
    let gateway = board.gateway_id.ok_or_else(|| {
        Failure::usage(
            format!("board {} has no gateway", shown(&board.name)),
            "Add the board again, with --on GATEWAY.",
        )
    })?;
    if args.lead {
        return Ok(Agent::new_lead(id, gateway, board.id, name.unwrap_or(LEAD_NAME), now));
    }
    let name = name.ok_or_else(|| {
        Failure::usage(
            "a worker needs a name",
            "Give it before the flags: windlass agents add NAME --board BOARD.",
        )
    })?;
    Ok(Agent::new_worker(id, gateway, board.id, name, now))
}

/// The source of a template.
fn template(flag: &'static str, path: Option<&Path>) -> Result<Option<FileOverride>, Failure> {
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
    Ok(Some(FileOverride::Template(source)))
}
