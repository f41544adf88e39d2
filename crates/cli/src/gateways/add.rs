//! `windlass gateways add` and `set`.

use std::path::{Path, PathBuf};

use clap::Args;
use windlass::store::{Gateway, GatewayUid, Gateways as _, SecretSource, unfit_for_workspaces};
use windlass::{Endpoint, Fingerprint};

use crate::exit::{ExitCode, Failure};
use crate::gateways::list::as_json;
use crate::global::Global;
use crate::output::Output;
use crate::store::{self, Missing, Records, short, shown};

/// Add a gateway
///
/// The store holds a reference to the token, never the token itself. Each agent gets a workspace folder in --workspace-root, on the
/// gateway's host.
#[derive(Debug, Args)]
pub(crate) struct GatewaysAddArgs {
    /// The name
    name: String,
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
    #[arg(long, value_name = "HEX", conflicts_with = "insecure_tls")]
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
    args.check()?;
    let global = Global {
        url: None,
        ..global.clone()
    };
    let store = store::open(&global, Missing::Make).await?;
    let organization = store::organization(&*store).await?;
    let mut records = Records::read(store).await?;
    let wanted = args.name.trim().to_lowercase();
    if let Some(taken) = records
        .gateways
        .iter()
        .find(|known| known.name.to_lowercase() == wanted)
    {
        return Err(Failure::usage(
            format!(
                "the name {:?} is taken by gateway {}",
                shown(&args.name),
                short(taken.id)
            ),
            "Choose another: gateways are named by it.",
        ));
    }
    let gateway = Gateway {
        id: store::new_id(GatewayUid::from_bytes)?,
        organization_id: organization.id,
        name: args.name.trim().to_owned(),
        url: args.url.trim().to_owned(),
        token,
        workspace_root: Some(args.workspace_root.trim().to_owned()),
        base_url: args
            .base_url
            .map(|url| url.trim().to_owned())
            .filter(|url| !url.is_empty()),
        allow_insecure_tls: args.insecure_tls,
        tls_fingerprint: args.tls_fingerprint,
        disable_device_pairing: args.control_ui,
        created_at: store::now(),
    };
    records.store.insert_gateway(&gateway).await?;
    if output.json() {
        records.gateways.push(gateway.clone());
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

impl GatewaysAddArgs {
    fn check(&self) -> Result<(), Failure> {
        let url = self.url.trim();
        Endpoint::parse(url).map_err(|error| Failure::usage(format!("flag --url: {error}"), ""))?;
        if let Some(fingerprint) = &self.tls_fingerprint {
            let read: Result<Fingerprint, _> = fingerprint.parse();
            read.map_err(|error| Failure::usage(format!("flag --tls-fingerprint: {error}"), ""))?;
        }
        let about_tls = [
            ("--tls-fingerprint", self.tls_fingerprint.is_some()),
            ("--insecure-tls", self.insecure_tls),
        ];
        match about_tls.iter().find(|(_, given)| *given) {
            Some((flag, _)) if url.starts_with("ws://") => Err(Failure::usage(
                format!("flag {flag}: the address begins with ws://, which has no certificate"),
                "Remove the flag, or give an address that begins with wss://.",
            )),
            _ if self.workspace_root.trim().is_empty() => Err(Failure::usage(
                "flag --workspace-root: it is empty",
                "Name a folder on the gateway's host, for example /srv/agents.",
            )),
            _ => match unfit_for_workspaces(&self.workspace_root) {
                Some(why) => Err(Failure::usage(
                    format!("flag --workspace-root: it {why}"),
                    "Name a folder on the gateway's host that is there for agents, for example /srv/agents.",
                )),
                None => Ok(()),
            },
        }
    }
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

/// Change the place of a gateway's token
///
/// The boards and agents of the gateway stay as they are. A running windlass agents run uses the new token after its next start.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").args(["token_env", "token_file", "no_token"]).required(true))]
pub(crate) struct SetArgs {
    /// The gateway, by its name or id
    // Not under the name of the global flag.
    #[arg(id = "name", value_name = "GATEWAY")]
    gateway: String,
    #[command(flatten)]
    token: TokenArgs,
    /// The gateway needs no token
    #[arg(long)]
    no_token: bool,
}

pub(crate) async fn set(global: &Global, args: &SetArgs, output: &Output) -> Result<ExitCode, Failure> {
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
    Ok(ExitCode::Ok)
}
