//! `windlass gateways add`.

use std::path::{Path, PathBuf};

use clap::Args;
use windlass::store::{GatewayUid, SecretSource};
use windlass_operations::gateway_records::{self, GatewayInput};

use crate::change::{caller, changed, place};
use crate::exit::{ExitCode, Failure};
use crate::gateways::list::as_json;
use crate::global::Global;
use crate::output::Output;
use crate::store::{self, Missing, Records, random, short, shown};

/// Add a gateway
///
/// The store holds a reference to the token, never the token itself. Each agent gets a workspace folder in --workspace-root, on the
/// gateway's host.
#[derive(Debug, Args)]
pub(crate) struct GatewaysAddArgs {
    /// The name
    name: String,
    /// The id, a UUID, to keep the one of another system [default: a new one]
    #[arg(long, value_name = "UUID")]
    id: Option<GatewayUid>,
    /// The gateway's address, ws://HOST:PORT or wss://HOST
    // Takes the place of the global flag of this name.
    #[arg(long, value_name = "URL")]
    url: String,
    #[command(flatten)]
    token: TokenArgs,
    /// The folder on the gateway's host for the workspaces of agents
    #[arg(long, value_name = "DIR")]
    workspace_root: String,
    /// The address of your service for its agents; it is written into their files
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The SHA-256 fingerprint of the expected certificate
    #[arg(long, value_name = "HEX")]
    tls_fingerprint: Option<String>,
    /// Accept any certificate
    #[arg(long)]
    insecure_tls: bool,
    /// Connect as a control UI, without this machine's device identity
    #[arg(long)]
    control_ui: bool,
}

/// Where a record's token is.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// The environment variable that holds the gateway's token
    #[arg(long, value_name = "VAR", conflicts_with = "token_file")]
    token_env: Option<String>,
    /// The file that holds the gateway's token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(crate) async fn add(global: &Global, args: GatewaysAddArgs, output: &Output) -> Result<ExitCode, Failure> {
    let token = args.token.source()?;
    let input = GatewayInput {
        id: args.id,
        name: args.name,
        url: args.url,
        token: token.as_ref().map(place).transpose()?,
        workspace_root: Some(args.workspace_root),
        base_url: args.base_url,
        allow_insecure_tls: args.insecure_tls,
        tls_fingerprint: args.tls_fingerprint,
        control_ui: args.control_ui,
    };
    // What is no gateway makes no store.
    gateway_records::check_input(&input)?;
    let global = Global {
        url: None,
        ..global.clone()
    };
    let store = store::open(&global, Missing::Make).await?;
    let caller = caller();
    let gateway = gateway_records::insert(&changed(&*store, &caller), input, [random()?, random()?]).await?;
    if output.json() {
        let records = Records::read(store).await?;
        output.value(&as_json(&records, &gateway))?;
    } else {
        output.line(&format!(
            "gateway {} added ({})",
            shown(&gateway.name),
            short(gateway.id)
        ))?;
    }
    Ok(ExitCode::Ok)
}

impl TokenArgs {
    /// The place of the token. An invalid value is not repeated in the error, because it may be the token itself.
    pub(crate) fn source(&self) -> Result<Option<SecretSource>, Failure> {
        match (&self.token_env, &self.token_file) {
            (Some(name), _) => {
                let source: Result<SecretSource, _> = format!("env:{name}").parse();
                let source = source.map_err(|_| {
                    Failure::usage(
                        "flag --token-env: the value is not the name of a variable",
                        "Give the variable's name, for example OPENCLAW_GATEWAY_TOKEN, and the token in it.",
                    )
                })?;
                if std::env::var_os(name).is_none_or(|value| value.is_empty()) {
                    return Err(Failure::usage(
                        format!("flag --token-env: the variable {} is not set", shown(name)),
                        "Set it to the gateway's token and export it, here and wherever agents are worked with.",
                    ));
                }
                Ok(Some(source))
            }
            (None, Some(path)) => file(path).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// The full path: later commands may run elsewhere.
fn file(path: &Path) -> Result<SecretSource, Failure> {
    let full = std::path::absolute(path).map_err(|error| {
        Failure::usage(
            format!("flag --token-file: {}: {error}", path.display()),
            "Name a file.",
        )
    })?;
    if full.is_file() {
        return Ok(SecretSource::File(full));
    }
    Err(Failure::usage(
        format!("flag --token-file: {} is no file", full.display()),
        "Write the gateway's token into it first (chmod 600).",
    ))
}
