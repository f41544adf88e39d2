//! Which configurations of working folders a person vouches for.
//!
//! A `windlass.toml` says which secrets are read and to which addresses they are sent, so one that came with a folder (a cloned
//! repository, an archive) could send a person's tokens to its author. It is used only after the person has said so, by
//! `windlass config trust`, and only as long as it is as it was then: what is trusted is a path together with the SHA-256 of
//! the text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use windlass_files::private::{self, Found};

use crate::config::ConfigError;
use crate::config::environment::Environment;

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
    /// Nobody has vouched for it.
    Never,
}

#[derive(Serialize, Deserialize)]
struct Layout {
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
            Ok(Found::Nothing) => BTreeMap::new(),
            Ok(Found::Exposed(mode)) => {
                let problem = format!(
                    "other users may read or change the list of trusted configurations (mode {mode:03o}): run chmod 600 on it"
                );
                return Err(fail(problem));
            }
            Ok(Found::Text(text)) => match serde_json::from_str::<Layout>(&text) {
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
        let layout = serde_json::json!(Layout {
            version: VERSION,
            files: self.files.clone(),
        });
        private::replace(&self.path, &format!("{layout:#}\n")).map_err(|error| {
            let problem = format!("the list of trusted configurations can't be written: {error}");
            ConfigError::new(self.path.display().to_string(), problem)
        })
    }
}

/// `windlass/trusted.json` in the user's folder for what programs remember.
fn place(environment: &Environment<'_>) -> Option<PathBuf> {
    // A relative folder counts as none, as the specification of these folders has it.
    let state = (environment.variable)("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute());
    let state = state.or_else(|| Some(environment.home()?.join(".local/state")));
    state.map(|state| state.join("windlass/trusted.json"))
}

/// The file itself, whatever links lead to it.
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
