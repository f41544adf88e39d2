//! `windlass coordinate soul`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use windlass::agents::coordinator::Soul;
use windlass::store::{Agent, Gateway};

use crate::agents::workshop::{FileArgs, Workshop};
use crate::coordinate::say::beside;
use crate::coordinate::trouble::Trouble;
use crate::coordinate::who::{TEXT_BYTES, board_of, caller, gateway_of};
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::input;
use crate::output::Output;
use crate::store::{Missing, Records, shown};
use crate::text;

/// Print who an agent is, its SOUL.md, or give it another one
///
/// Another one is on record before it is written: whatever becomes of the gateway, the next provisioning writes the same.
#[derive(Debug, Args)]
pub(crate) struct SoulArgs {
    /// The agent, by name, id or a unique beginning of the id
    agent: String,
    /// Write this file, or - to read it from stdin
    #[arg(long, value_name = "FILE")]
    set: Option<PathBuf>,
    /// Do it on behalf of this agent, with its rights [default: of an operator, who may do everything]
    #[arg(long = "as", value_name = "AGENT")]
    on_behalf_of: Option<String>,
    #[command(flatten)]
    files: FileArgs,
}

/// An agent, and what of it is read or written.
struct Task<'a> {
    records: &'a Records,
    agent: &'a Agent,
    gateway: &'a Gateway,
    soul: Soul,
}

pub(crate) async fn run(global: &Global, args: SoulArgs, output: &Output) -> Result<Exit, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agent = records.agent(&args.agent)?;
    let board = board_of(&records, agent)?;
    let task = Task {
        records: &records,
        agent,
        gateway: gateway_of(&records, board)?,
        soul: Soul {
            caller: caller(args.on_behalf_of.as_deref(), &records)?,
            board: board.id,
            agent: agent.id,
        },
    };
    match &args.set {
        Some(path) => write(task, path, &args.files, output).await,
        None => read(task, &args.files, output).await,
    }
}

async fn read(task: Task<'_>, files: &FileArgs, output: &Output) -> Result<Exit, Failure> {
    let soul = task.soul.clone();
    let end = beside(task.records, task.gateway, files, output, |agents| async move {
        agents.read_soul(soul).await
    })
    .await?;
    if output.json() {
        output.value(&as_json(
            &task,
            "soul",
            &end,
            |text| json!({"outcome": "read", "status": 200, "text": text}),
        ))?;
    }
    let text = end.map_err(Trouble::into_failure)?;
    if !output.json() {
        output.line(&text::harmless(text.trim_end()))?;
    }
    Ok(Exit::Ok)
}

async fn write(task: Task<'_>, path: &Path, files: &FileArgs, output: &Output) -> Result<Exit, Failure> {
    let content = input::file("--set", path, TEXT_BYTES).await?;
    let bytes = content.len();
    let workshop = Workshop::open(task.records, vec![task.gateway.clone()], files, output).await?;
    let end = if let Some(down) = workshop.down.get(&task.gateway.id) {
        Err(Trouble::from(down.clone()))
    } else {
        let written = workshop
            .agents
            .coordinator()
            .write_soul(task.soul.clone(), content)
            .await;
        written.map_err(Trouble::from)
    };
    workshop.close().await;
    if output.json() {
        output.value(&as_json(
            &task,
            "soul-set",
            &end,
            |()| json!({"outcome": "written", "status": 200, "bytes": bytes}),
        ))?;
    }
    end.map_err(Trouble::into_failure)?;
    if !output.json() {
        output.line(&format!(
            "SOUL.md of {} written ({bytes} bytes)",
            shown(&task.agent.name)
        ))?;
    }
    Ok(Exit::Ok)
}

fn as_json<T>(task: &Task<'_>, operation: &str, end: &Result<T, Trouble>, well: impl FnOnce(&T) -> Value) -> Value {
    let mut value = match end {
        Ok(end) => well(end),
        Err(trouble) => trouble.as_json(),
    };
    value["operation"] = json!(operation);
    value["agent"] = json!(task.agent.id);
    value["agentName"] = json!(task.agent.name);
    value
}
