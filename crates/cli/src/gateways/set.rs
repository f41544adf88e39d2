//! `windlass gateways set`.

use clap::{ArgGroup, Args};
use windlass_operations::gateway_records::{self, GatewayPatch};

use crate::change::{caller, changed, place};
use crate::exit::{ExitCode, Failure};
use crate::gateways::add::TokenArgs;
use crate::gateways::list::as_json;
use crate::global::Global;
use crate::output::Output;
use crate::store::{Missing, Records, short, shown};

/// Change the record of a gateway
///
/// The boards and agents of the gateway stay as they are. A running windlass serve connects to a new address at once; a running
/// windlass agents run does after its next start. An empty value removes what is removable.
#[derive(Debug, Args)]
#[command(override_usage = "windlass gateways set [OPTIONS] <GATEWAY>", group = ArgGroup::new("change").multiple(true).required(true).args([
    "new_name", "url", "token_env", "token_file", "no_token", "workspace_root", "base_url", "tls_fingerprint", "insecure_tls",
    "control_ui",
]))]
pub(crate) struct SetArgs {
    /// The gateway, by its name or id
    // Not under the name of the global flag.
    #[arg(id = "name", value_name = "GATEWAY")]
    gateway: String,
    /// The new name; the main agent is renamed too, unless it was given a name of its own
    #[arg(id = "new_name", long = "name", value_name = "NAME")]
    new_name: Option<String>,
    /// The new address, ws://HOST:PORT or wss://HOST
    // Takes the place of the global flag of this name.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    token: TokenArgs,
    /// The gateway needs no token
    #[arg(long, conflicts_with_all = ["token_env", "token_file"])]
    no_token: bool,
    /// The folder on the gateway's host for the workspaces of agents
    #[arg(long, value_name = "DIR")]
    workspace_root: Option<String>,
    /// The address of your service for its agents; it is written into their files
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The SHA-256 fingerprint of the expected certificate
    #[arg(long, value_name = "HEX")]
    tls_fingerprint: Option<String>,
    /// Accept any certificate
    #[arg(long, value_name = "BOOL")]
    insecure_tls: Option<bool>,
    /// Connect as a control UI, without this machine's device identity
    #[arg(long, value_name = "BOOL")]
    control_ui: Option<bool>,
}

pub(crate) async fn set(global: &Global, args: SetArgs, output: &Output) -> Result<ExitCode, Failure> {
    let global = Global {
        url: None,
        ..global.clone()
    };
    let patch = args.patch()?;
    let records = Records::open(&global, Missing::Refuse).await?;
    let before = records.gateway(&args.gateway)?.clone();
    let caller = caller();
    let gateway = gateway_records::change(&changed(&*records.store, &caller), before.clone(), patch).await?;
    if output.json() {
        output.value(&as_json(&records, &gateway))?;
        return Ok(ExitCode::Ok);
    }
    let (name, id) = (shown(&gateway.name), short(gateway.id));
    if before == gateway {
        output.line(&format!("gateway {name} ({id}) is like this already"))?;
    } else if before.token == gateway.token {
        output.line(&format!("gateway {name} ({id}) changed"))?;
    } else {
        let token = gateway.token.as_ref();
        let token = token.map_or_else(|| "none".into(), |token| shown(&token.to_string()));
        output.line(&format!("gateway {name} ({id}): the token is {token} from now on"))?;
    }
    Ok(ExitCode::Ok)
}

impl SetArgs {
    fn patch(&self) -> Result<GatewayPatch, Failure> {
        let token = self.token.source()?.as_ref().map(place).transpose()?;
        Ok(GatewayPatch {
            name: self.new_name.clone(),
            url: self.url.clone(),
            token: if self.no_token { Some(None) } else { token.map(Some) },
            workspace_root: self.workspace_root.clone().map(Some),
            base_url: self.base_url.clone().map(Some),
            allow_insecure_tls: self.insecure_tls,
            tls_fingerprint: self.tls_fingerprint.clone().map(Some),
            control_ui: self.control_ui,
        })
    }
}
