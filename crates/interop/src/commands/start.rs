//! `start`: runs one gateway in the foreground.

use std::{fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::skip_or_fail;
use crate::{
    cli::StartArgs,
    console::Console,
    exit::Exit,
    group::describe_exit,
    install::Installer,
    model::FakeModel,
    process::{GatewayOptions, RealGateway},
    scenario::Failure,
};

/// How often the foreground looks whether the gateway still runs; it wakes at its end anyway.
const LOOK: std::time::Duration = std::time::Duration::from_secs(3600);

pub(super) async fn start(args: StartArgs, installer: &Installer, console: Console) -> Result<Exit, Failure> {
    let installation = match installer.ensure(&args.release).await {
        Ok(installation) => installation,
        Err(error) => return skip_or_fail(&error, console),
    };
    let model = FakeModel::start().await?;
    let options = GatewayOptions {
        config: args.config.unwrap_or_else(|| json!({})),
        state_dir: args.state_dir,
        port: args.port,
        ..GatewayOptions::default()
    };
    console.progress(args.release.name(), "starting");
    let mut gateway = RealGateway::start(&installation, &model.base_url(), options).await?;
    let token_file = gateway.state_dir().join("token");
    write_token(&token_file, gateway.token())?;
    console.result(&format!("url {}", gateway.url()));
    console.result(&format!("token-file {}", token_file.display()));
    console.result(&format!("state-dir {}", gateway.state_dir().display()));
    console.result(&format!("pid {}", gateway.pid().unwrap_or_default()));
    console.progress(args.release.name(), "ready; interrupt to stop");
    loop {
        if let Some(status) = gateway.wait_exit(LOOK).await? {
            let exit = describe_exit(status);
            let log = gateway.log_tail();
            return Err(Failure::new(format!("the gateway ended by itself ({exit}):\n{log}")));
        }
    }
}

/// Writes the token for its owner's eyes only.
fn write_token(path: &Path, token: &SecretString) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(token.expose_secret().as_bytes())
}
