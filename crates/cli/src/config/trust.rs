//! Which configurations of working folders a person vouches for.
//!
//! A `windlass.toml` says which secrets are read and to which addresses they are sent, so one that came with a folder (a cloned
//! repository, an archive) could send a person's tokens to its author. It is used only after `windlass config trust`, and only
//! until it changes: a path is trusted together with the SHA-256 of its text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use windlass_files::private::{self, Found as PrivateFile};
use windlass_protocol::{NAME_LIMIT, printable};

use crate::config::file::{ConfigFile, FileOrigin, check_text, text_of};
use crate::config::gateway::{DeviceChoice, GatewayConfig};

use crate::config::{ConfigError, Environment, FILE_NAME};
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::Output;

/// The only `version` there is.
const VERSION: u32 = 1;

/// Configurations that are remembered at most: more than a person has looked at.
const MAX_FILES: usize = 1_000;

/// The list of trusted configurations: a private file of the user's.
#[derive(Debug)]
pub(crate) struct TrustList {
    path: PathBuf,
    files: BTreeMap<String, String>,
}

/// How a configuration stands with its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It is as it was when it was trusted.
    Given,
    /// It was trusted, and has changed since.
    Changed,
    /// It was never trusted.
    Never,
}

#[derive(Serialize, Deserialize)]
struct TrustFileLayout {
    version: u32,
    /// Digests by absolute path.
    files: BTreeMap<String, String>,
}

impl TrustList {
    /// Reads the list; an empty one where there is none.
    pub(crate) fn open(environment: &Environment<'_>) -> Result<Self, ConfigError> {
        let path = place(environment).ok_or_else(|| {
            ConfigError::new(
                "trusted configurations",
                "there is no place for their list: set HOME or XDG_STATE_HOME, or name the configuration with --config",
            )
        })?;
        let fail = |problem: String| ConfigError::new(path.display().to_string(), problem);
        let files = match private::read(&path) {
            Ok(PrivateFile::Nothing) => BTreeMap::new(),
            Ok(PrivateFile::Exposed(mode)) => {
                let problem = format!(
                    "other users may read or change the list of trusted configurations (mode {mode:03o}): run chmod 600 on it"
                );
                return Err(fail(problem));
            }
            Ok(PrivateFile::Text(text)) => match serde_json::from_str::<TrustFileLayout>(&text) {
                Ok(layout) if layout.version == VERSION => layout.files,
                Ok(_) | Err(_) => {
                    return Err(fail("this is no list of trusted configurations: move it away".into()));
                }
            },
            Err(error) => {
                return Err(fail(format!(
                    "the list of trusted configurations can't be read: {error}"
                )));
            }
        };
        Ok(Self { path, files })
    }

    /// How the configuration at `path` with this text stands.
    pub(crate) fn of(&self, path: &Path, text: &str) -> Trust {
        match self.files.get(&key(path)) {
            Some(known) if *known == digest(text) => Trust::Given,
            Some(_) => Trust::Changed,
            None => Trust::Never,
        }
    }

    /// Trusts the configuration at `path` as long as it has this text.
    pub(crate) fn trust(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        if self.files.len() >= MAX_FILES {
            self.files.retain(|path, _| Path::new(path).exists());
            if self.files.len() >= MAX_FILES {
                let problem =
                    format!("{MAX_FILES} configurations are trusted already: run windlass config distrust on some");
                return Err(ConfigError::new(self.path.display().to_string(), problem));
            }
        }
        self.files.insert(key(path), digest(text));
        self.write()
    }

    /// Trusts the configuration at `path` no longer; tells whether it was trusted.
    pub(crate) fn distrust(&mut self, path: &Path) -> Result<bool, ConfigError> {
        let known = self.files.remove(&key(path)).is_some();
        if known {
            self.write()?;
        }
        Ok(known)
    }

    fn write(&self) -> Result<(), ConfigError> {
        let layout = serde_json::json!(TrustFileLayout {
            version: VERSION,
            files: self.files.clone(),
        });
        private::replace(&self.path, &format!("{layout:#}\n")).map_err(|error| {
            let problem = format!("the list of trusted configurations can't be written: {error}");
            ConfigError::new(self.path.display().to_string(), problem)
        })
    }
}

/// `windlass/trusted.json` in the user's folder for program state.
fn place(environment: &Environment<'_>) -> Option<PathBuf> {
    // A relative folder counts as none, as the specification of these folders has it.
    let state = (environment.variable)("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute());
    let state = state.or_else(|| Some(environment.home()?.join(".local/state")));
    state.map(|state| state.join("windlass/trusted.json"))
}

/// The canonical path of the file.
fn key(path: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real.to_string_lossy().into_owned()
}

fn digest(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Reads and checks a file.
pub(crate) fn read(path: &Path, found: FileOrigin, environment: &Environment<'_>) -> Result<ConfigFile, ConfigError> {
    let text = text_of(path, found)?;
    if found == FileOrigin::Folder {
        vouched_for(path, TrustList::open(environment)?.of(path, &text))?;
    }
    check_text(path, &text, environment)
}

fn vouched_for(path: &Path, trust: Trust) -> Result<(), ConfigError> {
    let why = match trust {
        Trust::Given => return Ok(()),
        Trust::Never => "it lies in the working folder and was not trusted yet",
        Trust::Changed => "it lies in the working folder and has changed since it was trusted",
    };
    let problem = format!(
        "this configuration is not used: {why}, and it decides to which addresses your tokens are sent. Read it; if it is what you \
         want, run: windlass config trust"
    );
    Err(ConfigError::new(path.display().to_string(), problem))
}

/// Trust or distrust the windlass.toml of a folder
///
/// A windlass.toml decides which secrets are read and to which addresses they are sent. One that is found in the working folder is
/// therefore used only after you have trusted it, and only until it changes. One that --config or WINDLASS_CONFIG names, and your
/// own in ~/.config/windlass, needs no trust.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Trust a windlass.toml in its current version, and show the secrets that it uses
    Trust(ConfigPath),
    /// Stop trusting a windlass.toml
    Distrust(ConfigPath),
}

#[derive(Debug, Args)]
struct ConfigPath {
    /// The file, or its folder [default: ./windlass.toml]
    #[arg(value_name = "FILE")]
    path: Option<PathBuf>,
}

impl ConfigPath {
    fn path(&self, environment: &Environment<'_>) -> PathBuf {
        let path = environment
            .folder
            .join(self.path.as_deref().unwrap_or(Path::new(FILE_NAME)));
        if path.is_dir() { path.join(FILE_NAME) } else { path }
    }
}

pub(crate) fn run(_: &Global, args: &ConfigArgs, output: &Output) -> Result<ExitCode, Failure> {
    Environment::of_process(|environment| match &args.command {
        ConfigCommand::Trust(place) => trust(&place.path(environment), environment, output),
        ConfigCommand::Distrust(place) => distrust(&place.path(environment), environment, output),
    })
}

fn trust(path: &Path, environment: &Environment<'_>, output: &Output) -> Result<ExitCode, Failure> {
    // The text that is checked and shown is the one that is trusted.
    let text = text_of(path, FileOrigin::Folder)?;
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
        return Ok(ExitCode::Ok);
    }
    output.line(&format!("{} is trusted as it is now", shown(&path)))?;
    for gateway in &file.gateways {
        let reads = reads(gateway);
        let reads = if reads.is_empty() {
            "no secret".to_owned()
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
    Ok(ExitCode::Ok)
}

fn distrust(path: &Path, environment: &Environment<'_>, output: &Output) -> Result<ExitCode, Failure> {
    let known = TrustList::open(environment)?.distrust(path)?;
    let path = path.display().to_string();
    if output.json() {
        output.value(&json!({"trusted": false, "wasTrusted": known, "file": path}))?;
    } else {
        let was = if known {
            "is no longer trusted"
        } else {
            "was not trusted"
        };
        output.line(&format!("{} {was}", shown(&path)))?;
    }
    Ok(ExitCode::Ok)
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

/// Escapes names from a file of unknown origin.
fn shown(text: &str) -> String {
    printable(text, NAME_LIMIT * 8).to_string()
}
