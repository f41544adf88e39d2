//! The program's arguments: the flags of every command, and one of the commands.

use clap::{Parser, Subcommand};

use super::agents::AgentsArgs;
use super::boards::BoardsArgs;
use super::call::CallArgs;
use super::chaos::ChaosArgs;
use super::chat::ChatArgs;
use super::config::command::ConfigArgs;
use super::coordinate::CoordinateArgs;
use super::demo::DemoArgs;
use super::doctor::DoctorArgs;
use super::exit::EXIT_CODES;
use super::gateways::GatewaysArgs;
use super::global::Global;
use super::owner::OwnerArgs;
use super::sessions::SessionsArgs;
use super::status::StatusArgs;
use super::watch::WatchArgs;

/// Keeps one supervised line to every OpenClaw gateway
#[derive(Debug, Parser)]
#[command(name = "windlass", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Each is described where its arguments are.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Call(CallArgs),
    Watch(WatchArgs),
    Status(StatusArgs),
    Doctor(DoctorArgs),
    Chat(ChatArgs),
    Sessions(SessionsArgs),
    Gateways(GatewaysArgs),
    Boards(BoardsArgs),
    Agents(AgentsArgs),
    Coordinate(CoordinateArgs),
    Owner(OwnerArgs),
    Config(ConfigArgs),
    Chaos(ChaosArgs),
    Demo(DemoArgs),
}
