//! `windlass agents provision`, `rotate-token`, `sync`, `delete` and `forget`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::sync::Arc;

use clap::Args;
use windlass::agents::{FleetReport, GatewayFailure, Job, RunOptions, SyncOptions, TokenRule, Wake};
use windlass::store::{Agent, AgentRole, AgentUid, Gateway, Store};

use crate::agents::context::{AgentsContext, AllDown, FileArgs, Host, Which};
use crate::agents::plan::{self, RunArgs};
use crate::agents::progress::{self, FleetScreen};
use crate::agents::remote;
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::{Output, WARN};
use crate::store::{Missing, Records, shown};

/// Create or update agents on their gateways, and wake those that are new or changed
///
/// Everything is compared with the state of the gateway, so a second run writes nothing. To continue an interrupted run, run the
/// same command again.
#[derive(Debug, Args)]
pub(crate) struct ProvisionArgs {
    #[command(flatten)]
    which: Which,
    /// Show the changes, and make none
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    files: FileArgs,
}

/// Create new tokens, and wake the agents so that they read them
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    which: Which,
    /// Do not wake agents
    #[arg(long)]
    no_wake: bool,
    #[command(flatten)]
    files: FileArgs,
}

pub(crate) async fn provision(global: &Global, args: &ProvisionArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agents = args.which.of(&records)?;
    let options = args.run.options();
    if args.dry_run {
        return plan::show(&records, &agents, options, &args.files, output).await;
    }
    let job = |agents| Job::Provision { agents, options };
    work(global, "provision", &records, &agents, job, &args.files, output).await
}

pub(crate) async fn rotate(global: &Global, args: &RotateArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agents = args.which.of(&records)?;
    let options = RunOptions {
        token: TokenRule::Rotate,
        wake: if args.no_wake { Wake::Never } else { Wake::IfChanged },
        ..RunOptions::default()
    };
    let job = |agents| Job::Provision { agents, options };
    work(global, "rotate-token", &records, &agents, job, &args.files, output).await
}

/// Does a job on these agents: those of gateways that are down are reported, the others are worked on. Of a deletion, agents that
/// were never begun need no gateway.
pub(crate) async fn work(
    global: &Global,
    command: &str,
    records: &Records,
    agents: &[&Agent],
    job: impl FnOnce(Vec<AgentUid>) -> Job,
    files: &FileArgs,
    output: &Output,
) -> Result<ExitCode, Failure> {
    if let Some(service) = remote::service_of(global, files)?.await {
        let job = job(agents.iter().map(|agent| agent.id).collect());
        return remote::work(&service, command, &job, records, output).await;
    }
    let needs_gateway = |agent: &&Agent| command != DELETE || agent.lifecycle_generation > 0;
    let on_gateways: Vec<&Agent> = agents.iter().copied().filter(needs_gateway).collect();
    let context = AgentsContext::open(records, records.gateways_of(&on_gateways), files, output).await?;
    let is_reachable = |agent: &&Agent| !needs_gateway(agent) || !context.down.contains_key(&agent.gateway_id);
    let reachable: Vec<AgentUid> = agents
        .iter()
        .copied()
        .filter(is_reachable)
        .map(|agent| agent.id)
        .collect();
    let mut report = if reachable.is_empty() {
        FleetReport::default()
    } else {
        let operation = context.agents.work(job(reachable)).await?;
        let lines = context.host.watch(&context.gateways);
        FleetScreen::new(output).follow(operation, lines).await?
    };
    report
        .agents
        .extend(progress::of_those_down(&on_gateways, &context.down));
    let place = |id: AgentUid| agents.iter().position(|agent| agent.id == id);
    report.agents.sort_by_key(|agent| place(agent.agent));
    let exit = progress::report_exit(&report, &context.down);
    context.close().await;
    progress::show_report(command, &report, records, output)?;
    Ok(exit)
}

/// Rewrite the files of a gateway's agents from the current templates
///
/// Does not wake or create agents. An agent whose token cannot be read from the gateway is skipped with an error, unless
/// --rotate-tokens is given. Agents of paused boards are skipped.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent flags")]
pub(crate) struct SyncArgs {
    /// The gateway
    #[arg(long, value_name = "GATEWAY")]
    on: String,
    /// Only agents of this board
    #[arg(long, value_name = "BOARD")]
    board: Option<String>,
    /// Also the gateway's main agent
    #[arg(long, conflicts_with = "board")]
    include_main: bool,
    /// Only leads
    #[arg(long)]
    lead_only: bool,
    /// Reset the sessions
    #[arg(long)]
    reset_sessions: bool,
    /// Create a new token for every agent
    #[arg(long)]
    rotate_tokens: bool,
    /// Write BOOTSTRAP.md again
    #[arg(long)]
    force_bootstrap: bool,
    /// Overwrite USER.md and MEMORY.md even if the agent has changed them
    #[arg(long)]
    overwrite: bool,
    /// Show the changes, and make none
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    files: FileArgs,
}

pub(crate) async fn sync(global: &Global, args: &SyncArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let gateway = records.gateway(&args.on)?.clone();
    let options = args.options(&records)?;
    if args.dry_run {
        let agents = chosen(&records, &gateway, &options);
        return plan::show(&records, &agents, args.run_options(), &args.files, output).await;
    }
    work_on_templates(global, &records, &gateway, options, &args.files, output).await
}

async fn work_on_templates(
    global: &Global,
    records: &Records,
    gateway: &Gateway,
    options: SyncOptions,
    files: &FileArgs,
    output: &Output,
) -> Result<ExitCode, Failure> {
    if let Some(service) = remote::service_of(global, files)?.await {
        let gateway = gateway.id;
        return remote::work(&service, "sync", &Job::Sync { gateway, options }, records, output).await;
    }
    let context = AgentsContext::open(records, vec![gateway.clone()], files, output).await?;
    let report = if let Some(down) = context.down.get(&gateway.id) {
        FleetReport {
            gateways: vec![GatewayFailure {
                gateway: gateway.id,
                summary: down.advice.summary.to_string(),
                next_step: down.advice.next_step.to_string(),
            }],
            ..FleetReport::default()
        }
    } else {
        let gateway = gateway.id;
        let operation = context.agents.work(Job::Sync { gateway, options }).await?;
        let lines = context.host.watch(&context.gateways);
        FleetScreen::new(output).follow(operation, lines).await?
    };
    let exit = progress::report_exit(&report, &context.down);
    context.close().await;
    progress::show_report("sync", &report, records, output)?;
    Ok(exit)
}

impl SyncArgs {
    fn options(&self, records: &Records) -> Result<SyncOptions, Failure> {
        let board = self.board.as_deref().map(|name| records.board(name)).transpose()?;
        Ok(SyncOptions {
            include_main: self.include_main,
            lead_only: self.lead_only,
            reset_sessions: self.reset_sessions,
            rotate_tokens: self.rotate_tokens,
            force_bootstrap: self.force_bootstrap,
            overwrite: self.overwrite,
            board: board.map(|board| board.id),
        })
    }

    /// How a sync updates each of its agents.
    fn run_options(&self) -> RunOptions {
        RunOptions {
            wake: Wake::Never,
            deliver: false,
            reset_session: self.reset_sessions,
            overwrite: self.overwrite,
            force_bootstrap: self.force_bootstrap,
            token: if self.rotate_tokens {
                TokenRule::Rotate
            } else {
                TokenRule::MustExist
            },
        }
    }
}

/// The agents that a sync takes.
fn chosen<'a>(records: &'a Records, gateway: &Gateway, options: &SyncOptions) -> Vec<&'a Agent> {
    let paused: BTreeMap<_, _> = records.boards.iter().map(|board| (board.id, board.paused)).collect();
    let is_meant = |agent: &&Agent| {
        let by_role = match agent.role() {
            AgentRole::Main => options.include_main && options.board.is_none(),
            AgentRole::Lead => true,
            AgentRole::Worker => !options.lead_only,
        };
        let is_paused = agent.board_id.is_some_and(|board| paused.get(&board) == Some(&true));
        let on_board = options.board.is_none_or(|board| agent.board_id == Some(board));
        agent.gateway_id == gateway.id && by_role && on_board && !is_paused
    };
    records.agents.iter().filter(is_meant).collect()
}

/// Longest answer that is read from the terminal, in bytes.
const ANSWER_BYTES: u64 = 64;

/// The name of the command in a report.
pub(crate) const DELETE: &str = "delete";

/// Delete agents on their gateways and in the store
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The agents, by name, id or a unique beginning of the id
    #[arg(value_name = "AGENT", required = true)]
    agents: Vec<String>,
    /// Also delete their workspaces
    #[arg(long)]
    delete_files: bool,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    files: FileArgs,
}

pub(crate) async fn delete(global: &Global, args: &DeleteArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agents = records.chosen(&args.agents, false)?;
    let delete_files = args.delete_files;
    if !args.yes && !confirmed_deletion(&records, &agents, delete_files)? {
        output.note("nothing was deleted");
        return Ok(ExitCode::Ok);
    }
    let job = |agents| Job::Delete { agents, delete_files };
    let exit = work(global, DELETE, &records, &agents, job, &args.files, output).await?;
    if exit != ExitCode::Ok && !output.json() {
        output.note("if a gateway is gone for good, windlass agents forget removes its agents from the store");
    }
    Ok(exit)
}

/// Asks on the terminal.
pub(crate) fn confirmed_deletion(records: &Records, agents: &[&Agent], delete_files: bool) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::usage(
            "deleting agents needs a confirmation, and there is no terminal to ask on",
            "Confirm with --yes.",
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

/// Remove agents from the store, without contacting their gateways
///
/// For agents whose gateway is gone for good. An agent that still exists keeps its token, files and session, and Windlass no longer
/// knows it: use windlass agents delete if its gateway answers.
#[derive(Debug, Args)]
pub(crate) struct AgentsForgetArgs {
    /// The agents, by name, id or a unique beginning of the id
    #[arg(value_name = "AGENT", required = true)]
    agents: Vec<String>,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn forget(global: &Global, args: &AgentsForgetArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agents = records.chosen(&args.agents, false)?;
    let names: Vec<String> = agents
        .iter()
        .map(|agent| format!("{} of {}", shown(&agent.name), records.place_of(agent)))
        .collect();
    if !confirmed(&names.join(", "), args.yes, output)? {
        return Ok(ExitCode::Ok);
    }
    let agents = agents.iter().map(|agent| agent.id).collect();
    forget_work(global, "forget", &records, Job::Forget { agents }, output).await
}

/// Warns of the agents that stay on the gateway, and asks on the terminal unless `yes` was given.
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
            "forgetting needs a confirmation, and there is no terminal to ask on",
            "Confirm with --yes.",
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
pub(crate) async fn forget_work(
    global: &Global,
    command: &str,
    records: &Records,
    job: Job,
    output: &Output,
) -> Result<ExitCode, Failure> {
    if let Some(service) = remote::service(global)?.await {
        return remote::work(&service, command, &job, records, output).await;
    }
    let host = Host::start(&[])?;
    let store = Arc::clone(&records.store) as Arc<dyn Store>;
    let agents = host.windlass.agents(store).supervise(false).start().await?;
    let operation = agents.work(job).await?;
    let lines = host.watch(&[]);
    let report = FleetScreen::new(output).follow(operation, lines).await?;
    drop(agents);
    host.close().await;
    let exit = progress::report_exit(&report, &AllDown::new());
    progress::show_report(command, &report, records, output)?;
    Ok(exit)
}
