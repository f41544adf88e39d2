//! `windlass coordinate`: messages between people and agents.
//!
//! | module | contents |
//! |---|---|
//! | `say` | messages to one agent, lead or user; SOUL.md of an agent |
//! | `broadcast` | messages to the leads of several boards |
//! | `context` | the sender and the id of a message, and errors |

mod broadcast;
pub(crate) mod context;
mod say;

use clap::{Args, Subcommand};

use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::Output;

/// Message agents, leads and users
///
/// Each attempt is recorded, has an id for its answer, and ends within 45 s. Agents and boards are named by name, id or a unique
/// beginning of the id. To talk with an agent and see its answers, use windlass chat.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  windlass coordinate nudge Scribe 'The table of contents is still empty'
  windlass coordinate ask Docs 'British or American spelling?' --channel telegram
  windlass coordinate broadcast --all - <announcement.txt
  windlass coordinate soul Scribe >SOUL.md")]
pub(crate) struct CoordinateArgs {
    #[command(subcommand)]
    command: CoordinateCommand,
}

#[derive(Debug, Subcommand)]
enum CoordinateCommand {
    Nudge(say::NudgeArgs),
    Soul(say::SoulArgs),
    Ask(say::AskArgs),
    Onboard(say::OnboardArgs),
    Lead(say::LeadArgs),
    Broadcast(broadcast::BroadcastArgs),
}

pub(crate) async fn run(global: &Global, args: CoordinateArgs, output: &Output) -> Result<ExitCode, Failure> {
    match args.command {
        CoordinateCommand::Nudge(args) => say::nudge(global, args, output).await,
        CoordinateCommand::Soul(args) => say::run(global, args, output).await,
        CoordinateCommand::Ask(args) => say::ask(global, args, output).await,
        CoordinateCommand::Onboard(args) => say::onboard(global, args, output).await,
        CoordinateCommand::Lead(args) => say::lead(global, args, output).await,
        CoordinateCommand::Broadcast(args) => broadcast::run(global, args, output).await,
    }
}
