//! `windlass agents delete`.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use clap::Args;
use windlass::agents::Job;
use windlass::store::Agent;

use crate::agents::provision;
use crate::agents::workshop::FileArgs;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::output::Output;
use crate::store::{Missing, Records, shown};

/// Longest answer that is read from the terminal, in bytes.
const ANSWER_BYTES: u64 = 64;

/// The command's name in a report.
pub(crate) const COMMAND: &str = "delete";

/// Take agents off their gateways, and their records out of the store
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The agents, by name, id or a unique beginning of the id
    #[arg(value_name = "AGENT", required = true)]
    agents: Vec<String>,
    /// Their workspaces too
    #[arg(long)]
    delete_files: bool,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    files: FileArgs,
}

pub(crate) async fn run(global: &Global, args: &DeleteArgs, output: &Output) -> Result<Exit, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agents = records.chosen(&args.agents, false)?;
    let delete_files = args.delete_files;
    if !args.yes && !confirmed(&records, &agents, delete_files)? {
        output.note("nothing was deleted");
        return Ok(Exit::Ok);
    }
    let job = |agents| Job::Delete { agents, delete_files };
    let exit = provision::work(COMMAND, &records, &agents, job, &args.files, output).await?;
    if exit != Exit::Ok && !output.json() {
        output.note("an agent whose gateway is gone for good is taken out of the store by windlass agents forget");
    }
    Ok(exit)
}

/// Asks on the terminal.
fn confirmed(records: &Records, agents: &[&Agent], delete_files: bool) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::usage(
            "deleting agents needs a yes, and there is no terminal to ask on",
            "Give --yes if it is meant.",
        ));
    }
    let names: Vec<String> = agents
        .iter()
        .map(|agent| format!("{} of {}", shown(&agent.name), records.place_of(agent)))
        .collect();
    let with_files = if delete_files { " with their workspaces" } else { "" };
    let mut terminal = std::io::stderr().lock();
    write!(terminal, "Delete {}{with_files}? [y/N] ", names.join(", "))?;
    terminal.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().take(ANSWER_BYTES).read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
