//! `windlass sessions`: sessions of a gateway.
//!
//! | module | contents |
//! |---|---|
//! | `list` | `list` and `show` |
//! | `history` | `history`, and rows of a history for people and for programs |
//! | `send` | `send` and `abort` |
//! | `connected` | a connected gateway, and the session that a text names |

pub(crate) mod connected;
pub(crate) mod history;
mod list;
mod send;

use clap::{Args, Subcommand};

use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::Output;

/// List, read and message the sessions of a gateway
///
/// A session is named by its key (agent:main:main), its label, or the last part of its key. The id or name of an agent stands for
/// its main session. A name that fits several sessions is refused with their keys. The gateway is that of --url, of the
/// environment, of windlass.toml or of the store.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  windlass sessions list --active 1h
  windlass sessions history Scribe --limit 20
  windlass sessions send Scribe 'How far are you?'
  git log -5 | windlass sessions send agent:main:review - --timeout 10m")]
pub(crate) struct SessionsArgs {
    #[command(subcommand)]
    command: SessionsCommand,
}

#[derive(Debug, Subcommand)]
enum SessionsCommand {
    List(list::SessionsListArgs),
    Show(list::ShowArgs),
    History(history::HistoryArgs),
    Send(send::SendArgs),
    Abort(send::AbortArgs),
}

impl SessionsArgs {
    /// Whether the command deals with signals in its own way.
    pub(crate) const fn ends_itself(&self) -> bool {
        matches!(self.command, SessionsCommand::Send(_))
    }
}

pub(crate) async fn run(global: &Global, args: SessionsArgs, output: &Output) -> Result<ExitCode, Failure> {
    match args.command {
        SessionsCommand::List(args) => list::list(global, &args, output).await,
        SessionsCommand::Show(args) => list::show(global, &args, output).await,
        SessionsCommand::History(args) => history::run(global, &args, output).await,
        SessionsCommand::Send(args) => send::send(global, &args, output).await,
        SessionsCommand::Abort(args) => send::abort(global, &args, output).await,
    }
}
