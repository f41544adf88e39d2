//! `windlass agents provision` and `rotate-token`.

use clap::Args;
use windlass::agents::{FleetReport, Job, RunOptions, TokenRule, Wake};
use windlass::store::{Agent, AgentUid};

use crate::agents::progress::Screen;
use crate::agents::which::Which;
use crate::agents::workshop::{FileArgs, Workshop};
use crate::agents::{delete, plan, report};
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::output::Output;
use crate::store::{Missing, Records};

/// How agents are brought up to date.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent flags")]
pub(crate) struct RunArgs {
    /// Wake nobody
    #[arg(long, conflicts_with = "wake")]
    no_wake: bool,
    /// Wake everybody, also where nothing was written
    #[arg(long)]
    wake: bool,
    /// Begin a fresh session before the wake
    #[arg(long)]
    reset_session: bool,
    /// Write USER.md and MEMORY.md even where the agent has made them its own
    #[arg(long)]
    overwrite: bool,
    /// Give agents their BOOTSTRAP.md again
    #[arg(long)]
    force_bootstrap: bool,
    /// Give agents new tokens
    #[arg(long)]
    rotate_token: bool,
}

impl RunArgs {
    pub(crate) fn options(&self) -> RunOptions {
        RunOptions {
            wake: if self.no_wake {
                Wake::Never
            } else if self.wake {
                Wake::Always
            } else {
                Wake::IfChanged
            },
            reset_session: self.reset_session,
            overwrite: self.overwrite,
            force_bootstrap: self.force_bootstrap,
            token: if self.rotate_token {
                TokenRule::Rotate
            } else {
                TokenRule::Keep
            },
            ..RunOptions::default()
        }
    }
}

/// Bring agents to life, or up to date, and wake those that are new or have something new
///
/// Everything is compared with what the gateway has, so that a second run writes nothing. A run that was cut off goes on where it was
/// when the same command is run again.
#[derive(Debug, Args)]
pub(crate) struct ProvisionArgs {
    #[command(flatten)]
    which: Which,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    files: FileArgs,
}

/// Give agents new tokens, and wake them to read them
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    which: Which,
    /// Wake nobody
    #[arg(long)]
    no_wake: bool,
    #[command(flatten)]
    files: FileArgs,
}

pub(crate) async fn run(global: &Global, args: &ProvisionArgs, output: &Output) -> Result<Exit, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agents = args.which.of(&records)?;
    let options = args.run.options();
    if args.dry_run {
        return plan::show(&records, &agents, options, &args.files, output).await;
    }
    let job = |agents| Job::Provision { agents, options };
    work("provision", &records, &agents, job, &args.files, output).await
}

pub(crate) async fn rotate(global: &Global, args: &RotateArgs, output: &Output) -> Result<Exit, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agents = args.which.of(&records)?;
    let options = RunOptions {
        token: TokenRule::Rotate,
        wake: if args.no_wake { Wake::Never } else { Wake::IfChanged },
        ..RunOptions::default()
    };
    let job = |agents| Job::Provision { agents, options };
    work("rotate-token", &records, &agents, job, &args.files, output).await
}

/// Does a job on these agents: those of gateways that are down are reported, the others are worked on. Of a deletion, agents that
/// were never begun need no gateway.
pub(crate) async fn work(
    command: &str,
    records: &Records,
    agents: &[&Agent],
    job: impl FnOnce(Vec<AgentUid>) -> Job,
    files: &FileArgs,
    output: &Output,
) -> Result<Exit, Failure> {
    let needs_gateway = |agent: &&Agent| command != delete::COMMAND || agent.lifecycle_generation > 0;
    let on_gateways: Vec<&Agent> = agents.iter().copied().filter(needs_gateway).collect();
    let workshop = Workshop::open(records, records.gateways_of(&on_gateways), files, output).await?;
    let is_reachable = |agent: &&Agent| !needs_gateway(agent) || !workshop.down.contains_key(&agent.gateway_id);
    let reachable: Vec<AgentUid> = agents
        .iter()
        .copied()
        .filter(is_reachable)
        .map(|agent| agent.id)
        .collect();
    let mut report = if reachable.is_empty() {
        FleetReport::default()
    } else {
        let operation = workshop.agents.work(job(reachable)).await?;
        let lines = workshop.host.watch(&workshop.gateways);
        Screen::new(output).follow(operation, lines).await?
    };
    report
        .agents
        .extend(report::of_those_down(&on_gateways, &workshop.down));
    let place = |id: AgentUid| agents.iter().position(|agent| agent.id == id);
    report.agents.sort_by_key(|agent| place(agent.agent));
    let exit = report::exit_of(&report, &workshop.down);
    workshop.close().await;
    report::show(command, &report, records, output)?;
    Ok(exit)
}
