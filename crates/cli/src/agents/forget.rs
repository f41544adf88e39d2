//! `windlass agents forget`, and the work of `windlass gateways forget`.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::sync::Arc;

use clap::Args;
use windlass::agents::Job;
use windlass::store::Store;

use crate::agents::progress::Screen;
use crate::agents::report;
use crate::agents::workshop::AllDown;
use crate::exit::{Exit, Failure};
use crate::fleet::Host;
use crate::global::Global;
use crate::output::{Output, WARN};
use crate::store::{Missing, Records, shown};

/// Longest answer that is read from the terminal, in bytes.
const ANSWER_BYTES: u64 = 64;

/// Take the records of agents out of the store, and ask no gateway
///
/// For agents whose gateway is gone for good. An agent that is still there goes on with its token, its files and its session, and
/// nothing here knows it any more: where its gateway still answers, use windlass agents delete.
#[derive(Debug, Args)]
pub(crate) struct ForgetArgs {
    /// The agents, by name, id or a unique beginning of the id
    #[arg(value_name = "AGENT", required = true)]
    agents: Vec<String>,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(global: &Global, args: &ForgetArgs, output: &Output) -> Result<Exit, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agents = records.chosen(&args.agents, false)?;
    let names: Vec<String> = agents
        .iter()
        .map(|agent| format!("{} of {}", shown(&agent.name), records.place_of(agent)))
        .collect();
    if !confirmed(&names.join(", "), args.yes, output)? {
        return Ok(Exit::Ok);
    }
    let agents = agents.iter().map(|agent| agent.id).collect();
    work("forget", &records, Job::Forget { agents }, output).await
}

/// Warns of what forgetting leaves behind, and asks on the terminal unless `yes` was given.
pub(crate) fn confirmed(what: &str, yes: bool, output: &Output) -> Result<bool, Failure> {
    output.note(&format!(
        "no gateway is asked: what is still on it (agents with their tokens, files and sessions) stays there, and nothing here \
         knows of it any more. To forget: {what}"
    ));
    if yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::usage(
            "forgetting needs a yes, and there is no terminal to ask on",
            "Give --yes if it is meant.",
        ));
    }
    let mut terminal = std::io::stderr().lock();
    write!(terminal, "{WARN}Forget it?{WARN:#} [y/N] ")?;
    terminal.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().take(ANSWER_BYTES).read_line(&mut answer)?;
    let is_yes = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    if !is_yes {
        output.note("nothing was forgotten");
    }
    Ok(is_yes)
}

/// Does such a job. The process that runs the store's agents has the right to it, so that no run is under way meanwhile; no line
/// is opened.
pub(crate) async fn work(command: &str, records: &Records, job: Job, output: &Output) -> Result<Exit, Failure> {
    let host = Host::start(&[])?;
    let store = Arc::clone(&records.store) as Arc<dyn Store>;
    let agents = host.windlass.agents(store).supervise(false).start().await?;
    let operation = agents.work(job).await?;
    let lines = host.watch(&[]);
    let report = Screen::new(output).follow(operation, lines).await?;
    drop(agents);
    host.close().await;
    let exit = report::exit_of(&report, &AllDown::new());
    report::show(command, &report, records, output)?;
    Ok(exit)
}
