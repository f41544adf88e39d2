//! The flags of every command.

use std::path::PathBuf;

use clap::Args;

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
