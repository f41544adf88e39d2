//! `windlass agents`: from records to woken agents, and back.
//!
//! | module | what |
//! |---|---|
//! | `add`, `list` | records |
//! | `which` | the agents that a command is about |
//! | `workshop` | store, lines and templates, ready to work |
//! | `provision`, `sync`, `delete` | jobs |
//! | `forget` | the records alone, of agents whose gateway is gone |
//! | `plan`, `drift` | what a job would do |
//! | `checkin` | an agent says that it is there |
//! | `service` | the process that looks after the agents |
//! | `progress`, `report` | a job on the screen, and its end |

mod add;
mod checkin;
mod delete;
mod drift;
mod forget;
mod list;
mod plan;
mod progress;
mod provision;
mod report;
mod service;
mod sync;
mod which;
pub(crate) mod workshop;

pub(crate) use forget::{confirmed, work as forget_work};

use clap::{Args, Subcommand};

use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::output::Output;

/// Bring agents to life on their gateways, keep them up to date, and take them away
///
/// An agent is named by its name, its id or a unique beginning of its id. Gateways are named the same way, in --on and --main.
/// With --gateway a command looks at the agents of that gateway alone.
#[derive(Debug, Args)]
pub(crate) struct AgentsArgs {
    #[command(subcommand)]
    command: AgentsCommand,
}

#[derive(Debug, Subcommand)]
enum AgentsCommand {
    Add(Box<add::AddArgs>),
    List(list::ListArgs),
    Plan(plan::PlanArgs),
    Provision(provision::ProvisionArgs),
    Sync(sync::SyncArgs),
    Drift(drift::DriftArgs),
    Checkin(checkin::CheckinArgs),
    RotateToken(provision::RotateArgs),
    Delete(delete::DeleteArgs),
    Forget(forget::ForgetArgs),
    Run(service::ServiceArgs),
}

impl AgentsArgs {
    /// Whether the command deals with signals in its own way.
    pub(crate) const fn ends_itself(&self) -> bool {
        matches!(self.command, AgentsCommand::Run(_))
    }
}

pub(crate) async fn run(global: &Global, args: AgentsArgs, output: &Output) -> Result<Exit, Failure> {
    match args.command {
        AgentsCommand::Add(args) => add::run(global, *args, output).await,
        AgentsCommand::List(args) => list::run(global, &args, output).await,
        AgentsCommand::Plan(args) => plan::run(global, &args, output).await,
        AgentsCommand::Provision(args) => provision::run(global, &args, output).await,
        AgentsCommand::Sync(args) => sync::run(global, &args, output).await,
        AgentsCommand::Drift(args) => drift::run(global, &args, output).await,
        AgentsCommand::Checkin(args) => checkin::run(global, &args, output).await,
        AgentsCommand::RotateToken(args) => provision::rotate(global, &args, output).await,
        AgentsCommand::Delete(args) => delete::run(global, &args, output).await,
        AgentsCommand::Forget(args) => forget::run(global, &args, output).await,
        AgentsCommand::Run(args) => service::run(global, &args, output).await,
    }
}
