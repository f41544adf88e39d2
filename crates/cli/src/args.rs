//! The program's arguments: the flags of every command, and one of the commands.

use clap::{Parser, Subcommand};

use crate::activities::ActivitiesArgs;
use crate::agents::AgentsArgs;
use crate::boards::BoardsArgs;
use crate::call::CallArgs;
use crate::chaos::ChaosArgs;
use crate::chat::ChatArgs;
use crate::completions::{CompletionsArgs, ManArgs};
use crate::config::trust::ConfigArgs;
use crate::coordinate::CoordinateArgs;
use crate::demo::DemoArgs;
use crate::doctor::DoctorArgs;
use crate::exit::EXIT_CODES;
use crate::gateways::GatewaysArgs;
use crate::global::Global;
use crate::owner::OwnerArgs;
use crate::serve::ServeArgs;
use crate::sessions::SessionsArgs;
use crate::status::StatusArgs;
use crate::tokens::TokensArgs;
use crate::watch::WatchArgs;

/// Keeps one supervised line to every OpenClaw gateway
#[derive(Debug, Parser)]
#[command(name = "windlass", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: CliCommand,
}

/// Each is described where its arguments are.
#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    Call(CallArgs),
    Watch(WatchArgs),
    Status(StatusArgs),
    Doctor(DoctorArgs),
    Chat(ChatArgs),
    Sessions(SessionsArgs),
    Gateways(GatewaysArgs),
    Boards(BoardsArgs),
    Agents(AgentsArgs),
    Activities(ActivitiesArgs),
    Coordinate(CoordinateArgs),
    Owner(OwnerArgs),
    Tokens(TokensArgs),
    Serve(ServeArgs),
    Config(ConfigArgs),
    Chaos(ChaosArgs),
    Demo(DemoArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}
