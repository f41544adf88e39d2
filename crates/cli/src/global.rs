//! The flags of every command.

use std::path::PathBuf;

use clap::Args;

/// Flags of every subcommand.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The address of a gateway, ws://HOST:PORT or wss://HOST [env: WINDLASS_URL, OPENCLAW_GATEWAY_URL]
    #[arg(long, global = true, value_name = "URL", conflicts_with_all = ["gateway", "config"])]
    pub(crate) url: Option<String>,
    /// A gateway of windlass.toml or of the store, by name or id; repeat it for several [default: all; for commands that work with
    /// one: WINDLASS_GATEWAY, or default = "NAME" in windlass.toml]
    #[arg(short = 'g', long, global = true, value_name = "NAME")]
    pub(crate) gateway: Vec<String>,
    /// The configuration file [env: WINDLASS_CONFIG] [default: ./windlass.toml if it is trusted (windlass config), then
    /// ~/.config/windlass/windlass.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Ask for the gateway's token on the terminal [default: the file or variable that the gateway's entry names, then
    /// WINDLASS_TOKEN or OPENCLAW_GATEWAY_TOKEN]
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
    /// Print JSON: one object, one object per line for lists and streams, or lines of progress with the result last (docs/json.md)
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The log level on stderr: off, error, warn, info, debug or trace
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
