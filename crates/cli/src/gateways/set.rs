//! `windlass gateways set`.

use clap::Args;
use windlass::store::Gateways as _;

use crate::exit::{Exit, Failure};
use crate::gateways::add::TokenArgs;
use crate::gateways::list::as_json;
use crate::global::Global;
use crate::ids::short;
use crate::output::Output;
use crate::store::{Missing, Records, shown};

/// Change where the token of a recorded gateway is
///
/// Boards and agents of the gateway stay as they are. A service that runs (windlass agents run) uses the new token from its next
/// start on.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").args(["token_env", "token_file", "no_token"]).required(true))]
pub(crate) struct SetArgs {
    /// The gateway, by its name or id
    // Not under the name of the global flag.
    #[arg(id = "name", value_name = "GATEWAY")]
    gateway: String,
    #[command(flatten)]
    token: TokenArgs,
    /// The gateway wants no token
    #[arg(long)]
    no_token: bool,
}

pub(crate) async fn run(global: &Global, args: &SetArgs, output: &Output) -> Result<Exit, Failure> {
    let token = args.token.source()?;
    let records = Records::open(global, Missing::Refuse).await?;
    let mut gateway = records.gateway(&args.gateway)?.clone();
    gateway.token = token;
    records.store.update_gateway(&gateway).await?;
    if output.json() {
        output.value(&as_json(&records, &gateway))?;
    } else {
        let token = gateway
            .token
            .as_ref()
            .map_or_else(|| "none".into(), |token| shown(&token.to_string()));
        output.line(&format!(
            "gateway {} ({}): the token is {token} from now on",
            shown(&gateway.name),
            short(gateway.id)
        ))?;
    }
    Ok(Exit::Ok)
}
