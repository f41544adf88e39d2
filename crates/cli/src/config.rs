//! Which gateways to connect to, from flags, environment and `windlass.toml`.
//!
//! | module | what |
//! |---|---|
//! | `environment` | variables and the working folder, as a value |
//! | `file` | the text of a `windlass.toml`, as it stands there |
//! | `gateway` | one gateway, checked |
//! | `sources` | who wins: flags, then environment, then file |
//! | `secret` | tokens and passwords, from files, variables and prompts |
//! | `span` | durations such as `30s` |
//! | `trust` | which files of working folders the user vouches for |
//! | `command` | `windlass config` |

mod file;
mod gateway;
mod secret;
mod sources;
pub(crate) mod trust;

use std::ffi::OsString;
use std::path::PathBuf;

use windlass_protocol::{MESSAGE_LIMIT, printable};

pub(crate) use file::{ConfigFile, MalformedEntry, Timeouts, check_text};
pub(crate) use gateway::{DeviceChoice, GatewayConfig};
pub(crate) use secret::GivenSecret;
pub(crate) use sources::Selected;
pub(crate) use sources::{Choice, FILE_NAME, configured, is_by_address, select};

/// Longest place shown, in characters: a path may have 4096 bytes.
const PLACE_LIMIT: usize = 5_000;

/// Something in flags, environment or file that can't be used. Never repeats a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub(crate) struct ConfigError {
    /// The flag, the variable, or the file with its line and field.
    pub(crate) place: String,
    /// What is wrong and what to do.
    pub(crate) problem: String,
}

impl ConfigError {
    /// Both may repeat names of the file's or of folders, whatever characters those have.
    pub(crate) fn new(place: impl AsRef<str>, problem: impl AsRef<str>) -> Self {
        Self {
            place: printable(place.as_ref(), PLACE_LIMIT).to_string(),
            problem: printable(problem.as_ref(), MESSAGE_LIMIT).to_string(),
        }
    }
}

/// The environment, as a value: what its variables say and where relative paths begin.
pub(crate) struct Environment<'a> {
    pub(crate) variable: &'a dyn Fn(&str) -> Option<OsString>,
    pub(crate) folder: PathBuf,
}

impl Environment<'_> {
    /// Works with the environment of this process.
    pub(crate) fn of_process<T>(work: impl FnOnce(&Environment<'_>) -> T) -> T {
        work(&Environment {
            variable: &|name: &str| std::env::var_os(name),
            folder: std::env::current_dir().unwrap_or_default(),
        })
    }

    /// A variable's text; an empty one counts as not set.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, ConfigError> {
        match (self.variable)(name) {
            None => Ok(None),
            Some(value) => match value.into_string() {
                Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
                Err(_) => Err(ConfigError::new(variable(name), "its value is not UTF-8")),
            },
        }
    }

    pub(crate) fn home(&self) -> Option<PathBuf> {
        (self.variable)("HOME")
            .filter(|home| !home.is_empty())
            .map(PathBuf::from)
    }

    /// The first of these variables that is set, with its name.
    pub(crate) fn first(&self, names: [&'static str; 2]) -> Result<Option<(&'static str, String)>, ConfigError> {
        for name in names {
            if let Some(text) = self.text(name)? {
                return Ok(Some((name, text)));
            }
        }
        Ok(None)
    }
}

/// The place of a variable, for errors.
pub(crate) fn variable(name: &str) -> String {
    format!("environment variable {name}")
}

#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod tests;
