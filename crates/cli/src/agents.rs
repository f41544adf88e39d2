//! `windlass agents`: agents of the store, and on their gateways.
//!
//! | module | contents |
//! |---|---|
//! | `records` | `add`, `list`, `checkin`: commands that need no gateway |
//! | `change` | `set`, `rename`, `move` |
//! | `runs` | `runs`: the provisioning runs of an agent |
//! | `jobs` | `provision`, `sync`, `delete`, `forget`, `rotate-token` |
//! | `plan` | `plan`, `drift` and every `--dry-run`: the changes that a job would make |
//! | `service` | `run`: the process that supervises the agents |
//! | `context` | the store, lines and templates of a command |
//! | `remote` | a job, done by the running service of the store |
//! | `progress` | a job on the screen, and its report |

mod change;
pub(crate) mod context;
pub(crate) mod jobs;
mod plan;
mod progress;
pub(crate) mod records;
mod remote;
mod runs;
mod service;

use clap::{Args, Subcommand};

use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::Output;

/// Provision, update and delete agents
///
/// An agent is named by its name, its id or a unique beginning of its id, and so are gateways in --on and --main. With --gateway a
/// command works on the agents of that gateway only.
#[derive(Debug, Args)]
pub(crate) struct AgentsArgs {
    #[command(subcommand)]
    command: AgentsCommand,
}

#[derive(Debug, Subcommand)]
enum AgentsCommand {
    Add(Box<records::AgentsAddArgs>),
    List(records::AgentsListArgs),
    Set(Box<change::AgentsSetArgs>),
    Rename(change::RenameArgs),
    Move(change::MoveArgs),
    Runs(runs::RunsArgs),
    Plan(plan::PlanArgs),
    Provision(jobs::ProvisionArgs),
    Sync(jobs::SyncArgs),
    Drift(plan::DriftArgs),
    Checkin(records::CheckinArgs),
    RotateToken(jobs::RotateArgs),
    Delete(jobs::DeleteArgs),
    Forget(jobs::AgentsForgetArgs),
    Run(service::ServiceArgs),
}

impl AgentsArgs {
    /// Whether the command deals with signals in its own way.
    pub(crate) const fn ends_itself(&self) -> bool {
        matches!(self.command, AgentsCommand::Run(_))
    }
}

pub(crate) async fn run(global: &Global, args: AgentsArgs, output: &Output) -> Result<ExitCode, Failure> {
    match args.command {
        AgentsCommand::Add(args) => records::add(global, *args, output).await,
        AgentsCommand::List(args) => records::list(global, &args, output).await,
        AgentsCommand::Set(args) => change::set(global, &args, output).await,
        AgentsCommand::Rename(args) => change::rename(global, &args, output).await,
        AgentsCommand::Move(args) => change::move_to(global, &args, output).await,
        AgentsCommand::Runs(args) => runs::runs(global, &args, output).await,
        AgentsCommand::Plan(args) => plan::plan(global, &args, output).await,
        AgentsCommand::Provision(args) => jobs::provision(global, &args, output).await,
        AgentsCommand::Sync(args) => jobs::sync(global, &args, output).await,
        AgentsCommand::Drift(args) => plan::drift(global, &args, output).await,
        AgentsCommand::Checkin(args) => records::checkin(global, &args, output).await,
        AgentsCommand::RotateToken(args) => jobs::rotate(global, &args, output).await,
        AgentsCommand::Delete(args) => jobs::delete(global, &args, output).await,
        AgentsCommand::Forget(args) => jobs::forget(global, &args, output).await,
        AgentsCommand::Run(args) => service::run(global, &args, output).await,
    }
}
