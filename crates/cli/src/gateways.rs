//! `windlass gateways`: the gateways on which agents live.

mod add;
mod list;

use clap::{Args, Subcommand};
use windlass::agents::Job;
use windlass::store::Gateways as _;

use crate::agents;
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::Output;
use crate::store::{Missing, Records, short, shown};
use crate::text::counted;

/// Keep the gateways on which agents live
///
/// These are records of the store (--store). Every command knows them by their names, beside the gateways of windlass.toml; agents
/// live on recorded ones only.
#[derive(Debug, Args)]
pub(crate) struct GatewaysArgs {
    #[command(subcommand)]
    command: GatewaysCommand,
}

#[derive(Debug, Subcommand)]
enum GatewaysCommand {
    Add(Box<add::GatewaysAddArgs>),
    Set(add::SetArgs),
    List(list::GatewaysListArgs),
    /// Remove the record of a gateway that has no boards and no agents; nothing is done on the gateway
    Remove {
        /// The gateway, by its name or id
        // Not under the name of the global flag.
        #[arg(id = "name", value_name = "GATEWAY")]
        gateway: String,
    },
    Forget(GatewaysForgetArgs),
}

/// Take a gateway's record out of the store, with the boards and agents on it, and ask it nothing
///
/// For a gateway that is gone for good. Agents that are still there go on with their tokens, files and sessions, and nothing here
/// knows them any more: where it still answers, use windlass agents delete and windlass gateways remove.
#[derive(Debug, Args)]
struct GatewaysForgetArgs {
    /// The gateway, by its name or id
    // Not under the name of the global flag.
    #[arg(id = "name", value_name = "GATEWAY")]
    gateway: String,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(global: &Global, args: GatewaysArgs, output: &Output) -> Result<ExitCode, Failure> {
    match args.command {
        GatewaysCommand::Add(args) => add::add(global, *args, output).await,
        GatewaysCommand::Set(args) => add::set(global, &args, output).await,
        GatewaysCommand::List(args) => list::run(global, args, output).await,
        GatewaysCommand::Remove { gateway } => remove(global, &gateway, output).await,
        GatewaysCommand::Forget(args) => forget(global, &args, output).await,
    }
}

async fn forget(global: &Global, args: &GatewaysForgetArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let gateway = records.gateway(&args.gateway)?;
    let boards = records
        .boards
        .iter()
        .filter(|board| board.gateway_id == Some(gateway.id));
    let agents = records.agents.iter().filter(|agent| agent.gateway_id == gateway.id);
    let what = format!(
        "gateway {} with {} and {}",
        shown(&gateway.name),
        counted(boards.count(), "board"),
        counted(agents.count(), "agent")
    );
    if !agents::jobs::confirmed(&what, args.yes, output)? {
        return Ok(ExitCode::Ok);
    }
    let job = Job::ForgetGateway { gateway: gateway.id };
    agents::jobs::forget_work("forget", &records, job, output).await
}

async fn remove(global: &Global, name: &str, output: &Output) -> Result<ExitCode, Failure> {
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
    Ok(ExitCode::Ok)
}
