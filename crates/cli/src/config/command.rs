//! `windlass config`: which configurations of working folders are trusted.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use windlass_protocol::{NAME_LIMIT, printable};

use crate::config::environment::Environment;
use crate::config::file::{Found, check_text, text_of};
use crate::config::gateway::{DeviceChoice, GatewayConfig};
use crate::config::sources::FILE_NAME;
use crate::config::trust::TrustList;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::output::Output;

/// Say which windlass.toml of a working folder may be used
///
/// A windlass.toml decides which secrets are read and to which addresses they are sent, so one that is found in the working
/// folder is used only after you have trusted it, and only as long as it does not change. One that --config or WINDLASS_CONFIG
/// names, and your own in ~/.config/windlass, need not be trusted.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Trust a windlass.toml as it is now, and show what it names
    Trust(Place),
    /// Trust a windlass.toml no longer
    Distrust(Place),
}

#[derive(Debug, Args)]
struct Place {
    /// The file, or its folder [default: ./windlass.toml]
    #[arg(value_name = "FILE")]
    path: Option<PathBuf>,
}

impl Place {
    fn path(&self, environment: &Environment<'_>) -> PathBuf {
        let path = environment
            .folder
            .join(self.path.as_deref().unwrap_or(Path::new(FILE_NAME)));
        if path.is_dir() { path.join(FILE_NAME) } else { path }
    }
}

pub(crate) fn run(_: &Global, args: &ConfigArgs, output: &Output) -> Result<Exit, Failure> {
    Environment::of_process(|environment| match &args.command {
        ConfigCommand::Trust(place) => trust(&place.path(environment), environment, output),
        ConfigCommand::Distrust(place) => distrust(&place.path(environment), environment, output),
    })
}

fn trust(path: &Path, environment: &Environment<'_>, output: &Output) -> Result<Exit, Failure> {
    // The text that is checked and shown is the one that is trusted.
    let text = text_of(path, Found::Folder)?;
    let file = check_text(path, &text, environment)?.without_errors()?;
    TrustList::open(environment)?.trust(path, &text)?;
    let path = path.display().to_string();
    if output.json() {
        let gateways: Vec<_> = file
            .gateways
            .iter()
            .map(|gateway| json!({"gateway": gateway.id, "url": gateway.endpoint.to_string(), "reads": reads(gateway)}))
            .collect();
        output.value(&json!({"trusted": true, "file": path, "gateways": gateways}))?;
        return Ok(Exit::Ok);
    }
    output.line(&format!("{} is trusted as it is now", shown(&path)))?;
    for gateway in &file.gateways {
        let reads = reads(gateway);
        let reads = if reads.is_empty() {
            "no secret of its own".to_owned()
        } else {
            reads.join(", ")
        };
        output.line(&format!(
            "  {} at {} is sent: {}",
            gateway.id,
            shown(&gateway.endpoint.to_string()),
            shown(&reads)
        ))?;
    }
    Ok(Exit::Ok)
}

fn distrust(path: &Path, environment: &Environment<'_>, output: &Output) -> Result<Exit, Failure> {
    let known = TrustList::open(environment)?.distrust(path)?;
    let path = path.display().to_string();
    if output.json() {
        output.value(&json!({"trusted": false, "wasTrusted": known, "file": path}))?;
    } else {
        let was = if known {
            "is trusted no longer"
        } else {
            "was not trusted"
        };
        output.line(&format!("{} {was}", shown(&path)))?;
    }
    Ok(Exit::Ok)
}

/// The secrets that a gateway is sent, by where they come from.
fn reads(gateway: &GatewayConfig) -> Vec<String> {
    let mut reads = Vec::new();
    for (what, source) in [("token", &gateway.token), ("password", &gateway.password)] {
        reads.extend(
            source
                .as_ref()
                .map(|source| format!("{what} from {}", source.value.place())),
        );
    }
    for header in &gateway.headers {
        let (name, variable) = &header.value;
        reads.push(format!("header {name} from the variable {variable}"));
    }
    if let DeviceChoice::File(path) = &gateway.device {
        reads.push(format!("a signature with the device identity {}", path.display()));
    }
    reads
}

/// Names of a file that may be anybody's.
fn shown(text: &str) -> String {
    printable(text, NAME_LIMIT * 8).to_string()
}
