//! `windlass gateways`: the gateways on which agents live.

mod add;
mod list;
mod set;

use clap::{Args, Subcommand};
use windlass::agents::Job;
use windlass_operations::gateway_records;

use crate::agents;
use crate::change::{caller, changed};
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::Output;
use crate::store::{Missing, Records, short, shown};
use crate::text::counted;

/// Manage the gateways of the store
///
/// Gateways of the store (--store) and of windlass.toml are one list: every command finds them by name. Agents live on gateways of
/// the store only.
#[derive(Debug, Args)]
pub(crate) struct GatewaysArgs {
    #[command(subcommand)]
    command: GatewaysCommand,
}

#[derive(Debug, Subcommand)]
enum GatewaysCommand {
    Add(Box<add::GatewaysAddArgs>),
    Set(Box<set::SetArgs>),
    List(list::GatewaysListArgs),
    /// Remove a gateway without boards and agents from the store; changes nothing on the gateway
    Remove {
        /// The gateway, by its name or id
        // Not under the name of the global flag.
        #[arg(id = "name", value_name = "GATEWAY")]
        gateway: String,
    },
    Forget(GatewaysForgetArgs),
}

/// Remove a gateway with its boards and agents from the store, without contacting it
///
/// For a gateway that is gone for good. If it still exists, its agents keep their tokens, files and sessions, and Windlass no
/// longer knows them: use windlass agents delete and windlass gateways remove for a gateway that answers.
#[derive(Debug, Args)]
struct GatewaysForgetArgs {
    /// The gateway, by its name or id
    // Not under the name of the global flag.
    #[arg(id = "name", value_name = "GATEWAY")]
    gateway: String,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(global: &Global, args: GatewaysArgs, output: &Output) -> Result<ExitCode, Failure> {
    match args.command {
        GatewaysCommand::Add(args) => add::add(global, *args, output).await,
        GatewaysCommand::Set(args) => set::set(global, *args, output).await,
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
    let exit = agents::jobs::forget_work(global, "forget", &records, job, output).await?;
    if exit == ExitCode::Ok {
        gateway_records::forgotten(&changed(&*records.store, &caller()), gateway).await?;
    }
    Ok(exit)
}

async fn remove(global: &Global, name: &str, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let gateway = records.gateway(name)?;
    gateway_records::remove(&changed(&*records.store, &caller()), gateway).await?;
    if output.json() {
        output.value(&serde_json::json!({"removed": true, "id": gateway.id, "name": gateway.name}))?;
    } else {
        output.line(&format!(
            "gateway {} removed ({})",
            shown(&gateway.name),
            short(gateway.id)
        ))?;
    }
    Ok(ExitCode::Ok)
}
