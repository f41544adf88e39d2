//! `windlass agents set`, `rename` and `move`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use windlass_operations::agent_records::{self, AgentPatch};

use super::records::{IdentityArgs, as_json, every, heartbeat, template};
use crate::change::{caller, changed};
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::Output;
use crate::store::{self, Missing, Records, short, shown};

/// Change the record of an agent; windlass agents provision brings the change to its gateway
///
/// An empty value removes an entry of its character.
#[derive(Debug, Args)]
#[command(override_usage = "windlass agents set [OPTIONS] <AGENT>", group = ArgGroup::new("change").multiple(true).required(true).args([
    "heartbeat_every", "soul_template", "no_soul_template", "identity_template", "no_identity_template", "role", "purpose", "emoji",
    "communication_style", "personality", "autonomy_level", "verbosity", "output_format", "update_cadence", "custom_instructions",
]))]
pub(crate) struct AgentsSetArgs {
    /// The agent, by name, id or a unique beginning of the id
    agent: String,
    /// The time between heartbeats, for example 10m; 0m for never
    #[arg(long, value_name = "TIME", value_parser = every)]
    heartbeat_every: Option<String>,
    /// A template of SOUL.md for this agent
    #[arg(long, value_name = "FILE")]
    soul_template: Option<PathBuf>,
    /// Use the template of its role for SOUL.md
    #[arg(long, conflicts_with = "soul_template")]
    no_soul_template: bool,
    /// A template of IDENTITY.md for this agent
    #[arg(long, value_name = "FILE")]
    identity_template: Option<PathBuf>,
    /// Use the template of its role for IDENTITY.md
    #[arg(long, conflicts_with = "identity_template")]
    no_identity_template: bool,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// Give an agent another name; windlass agents provision brings it to its gateway
#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// The agent, by name, id or a unique beginning of the id
    agent: String,
    /// The new name
    name: String,
}

/// Move a worker to another board of its gateway
///
/// Its session and its workspace stay as they are. A worker that was never provisioned may also move to a board of another gateway.
#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// The agent, by name, id or a unique beginning of the id
    agent: String,
    /// The board it moves to
    #[arg(long, value_name = "BOARD")]
    board: String,
}

pub(crate) async fn set(global: &Global, args: &AgentsSetArgs, output: &Output) -> Result<ExitCode, Failure> {
    let soul = template("--soul-template", args.soul_template.as_deref())?;
    let identity_file = template("--identity-template", args.identity_template.as_deref())?;
    let entries = args.identity.given().into_iter();
    let identity: BTreeMap<String, Option<String>> = entries
        .map(|(key, text)| (key, Some(text).filter(|text| !text.trim().is_empty())))
        .collect();
    let patch = AgentPatch {
        heartbeat: args.heartbeat_every.as_deref().map(heartbeat),
        identity: (!identity.is_empty()).then_some(identity),
        soul: if args.no_soul_template {
            Some(None)
        } else {
            soul.map(Some)
        },
        identity_file: if args.no_identity_template {
            Some(None)
        } else {
            identity_file.map(Some)
        },
        ..AgentPatch::default()
    };
    change(global, &args.agent, &patch, "changed", output).await
}

pub(crate) async fn rename(global: &Global, args: &RenameArgs, output: &Output) -> Result<ExitCode, Failure> {
    let patch = AgentPatch {
        name: Some(args.name.clone()),
        ..AgentPatch::default()
    };
    change(global, &args.agent, &patch, "renamed", output).await
}

pub(crate) async fn move_to(global: &Global, args: &MoveArgs, output: &Output) -> Result<ExitCode, Failure> {
    let patch = AgentPatch {
        board: Some(args.board.clone()),
        ..AgentPatch::default()
    };
    change(global, &args.agent, &patch, "moved", output).await
}

async fn change(
    global: &Global,
    agent: &str,
    patch: &AgentPatch,
    done: &str,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let before = records.agent(agent)?;
    let board = patch.board.as_deref().map(|name| records.board(name)).transpose()?;
    let caller = caller();
    let after = agent_records::change(&changed(&*records.store, &caller), before, board, patch).await?;
    if output.json() {
        output.value(&as_json(&records, &after, store::now()))?;
        return Ok(ExitCode::Ok);
    }
    output.line(&format!("agent {} ({}) {done}", shown(&after.name), short(after.id)))?;
    if after.lifecycle_generation > 0 {
        output.note("windlass agents provision brings the change to its gateway");
    }
    Ok(ExitCode::Ok)
}
