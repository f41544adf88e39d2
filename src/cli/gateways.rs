//! `windlass gateways`: the gateways on which agents live.

mod add;
mod list;

use clap::{Args, Subcommand};

use super::args::Global;
use super::exit::{Exit, Failure};
use super::output::Output;
use super::store::{Missing, Records, short, shown};
use crate::store::Gateways as _;

/// Keep the gateways on which agents live
///
/// These are records of the store (--store), apart from the gateways of windlass.toml that call, watch, status and doctor work
/// with.
#[derive(Debug, Args)]
pub(super) struct GatewaysArgs {
    #[command(subcommand)]
    command: GatewaysCommand,
}

#[derive(Debug, Subcommand)]
enum GatewaysCommand {
    Add(Box<add::AddArgs>),
    List(list::ListArgs),
    /// Remove a gateway's record; nothing is done on the gateway
    Remove {
        /// The gateway, by its name or id
        // Not under the name of the global flag.
        #[arg(id = "name", value_name = "GATEWAY")]
        gateway: String,
    },
}

pub(super) async fn run(global: &Global, args: GatewaysArgs, output: &Output) -> Result<Exit, Failure> {
    match args.command {
        GatewaysCommand::Add(args) => add::run(global, *args, output).await,
        GatewaysCommand::List(args) => list::run(global, args, output).await,
        GatewaysCommand::Remove { gateway } => remove(global, &gateway, output).await,
    }
}

async fn remove(global: &Global, name: &str, output: &Output) -> Result<Exit, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let gateway = records.gateway(name)?;
    let removed = records.store.delete_gateway(gateway.id).await?;
    if output.json() {
        output.value(&serde_json::json!({"removed": removed, "id": gateway.id, "name": gateway.name}))?;
    } else {
        output.line(&format!(
            "gateway {} removed ({})",
            shown(&gateway.name),
            short(gateway.id)
        ))?;
    }
    Ok(Exit::Ok)
}
