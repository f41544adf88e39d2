//! `windlass agents sync`.

use std::collections::BTreeMap;

use clap::Args;
use windlass::agents::{FleetReport, GatewayFailure, Job, RunOptions, SyncOptions, TokenRule, Wake};
use windlass::store::{Agent, AgentRole, Gateway};

use crate::agents::progress::Screen;
use crate::agents::workshop::{FileArgs, Workshop};
use crate::agents::{plan, report};
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::output::Output;
use crate::store::{Missing, Records};

/// Write today's templates for the agents of a gateway
///
/// Nobody is woken, and nobody is made: an agent that the gateway does not show a token of is left alone with an error, unless tokens
/// are rotated. Agents of paused boards are skipped.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent flags")]
pub(crate) struct SyncArgs {
    /// The gateway
    #[arg(long, value_name = "GATEWAY")]
    on: String,
    /// The agents of this board only
    #[arg(long, value_name = "BOARD")]
    board: Option<String>,
    /// The gateway's own agent too
    #[arg(long, conflicts_with = "board")]
    include_main: bool,
    /// Leads only
    #[arg(long)]
    lead_only: bool,
    /// Begin fresh sessions
    #[arg(long)]
    reset_sessions: bool,
    /// Give every agent a new token
    #[arg(long)]
    rotate_tokens: bool,
    /// Give agents their BOOTSTRAP.md again
    #[arg(long)]
    force_bootstrap: bool,
    /// Write USER.md and MEMORY.md even where the agent has made them its own
    #[arg(long)]
    overwrite: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    files: FileArgs,
}

pub(crate) async fn run(global: &Global, args: &SyncArgs, output: &Output) -> Result<Exit, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let gateway = records.gateway(&args.on)?.clone();
    let options = args.options(&records)?;
    if args.dry_run {
        let agents = chosen(&records, &gateway, &options);
        return plan::show(&records, &agents, args.run_options(), &args.files, output).await;
    }
    work(&records, &gateway, options, &args.files, output).await
}

async fn work(
    records: &Records,
    gateway: &Gateway,
    options: SyncOptions,
    files: &FileArgs,
    output: &Output,
) -> Result<Exit, Failure> {
    let workshop = Workshop::open(records, vec![gateway.clone()], files, output).await?;
    let report = if let Some(down) = workshop.down.get(&gateway.id) {
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
        let operation = workshop.agents.work(Job::Sync { gateway, options }).await?;
        let lines = workshop.host.watch(&workshop.gateways);
        Screen::new(output).follow(operation, lines).await?
    };
    let exit = report::exit_of(&report, &workshop.down);
    workshop.close().await;
    report::show("sync", &report, records, output)?;
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
