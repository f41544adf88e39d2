//! Flags.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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

/// Flags of every subcommand.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which gateways, and how to show it")]
pub(crate) struct Global {
    /// The gateway's address, ws://HOST:PORT or wss://HOST [env: WINDLASS_URL, OPENCLAW_GATEWAY_URL]
    #[arg(long, global = true, value_name = "URL", conflicts_with_all = ["gateway", "config"])]
    pub(crate) url: Option<String>,
    /// A gateway by its name, of windlass.toml or of the store (or by its record's id); repeat it for several [default: all of
    /// them; where one is needed, the one that WINDLASS_GATEWAY or default = "NAME" in windlass.toml names]
    #[arg(short = 'g', long, global = true, value_name = "NAME")]
    pub(crate) gateway: Vec<String>,
    /// The configuration [env: WINDLASS_CONFIG] [default: ./windlass.toml if it is trusted (windlass config), then ~/.config/windlass/windlass.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Ask for the gateway's token on the terminal; otherwise it comes from the file or variable that windlass.toml names,
    /// or else from WINDLASS_TOKEN or OPENCLAW_GATEWAY_TOKEN
    #[arg(long, global = true)]
    pub(crate) ask_token: bool,
    /// The store of gateways, boards and agents [default: windlass/windlass.db in $XDG_DATA_HOME or ~/.local/share]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "WINDLASS_STORE",
        hide_env_values = true
    )]
    pub(crate) store: Option<PathBuf>,
    /// Print JSON for programs: one object; an object on each line, of lists and streams; or lines of progress with the result as
    /// the last (docs/json.md)
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to log on stderr: off, error, warn, info, debug or trace
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        env = "WINDLASS_LOG",
        default_value = "error",
        hide_env_values = true
    )]
    pub(crate) log: String,
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
