//! The gateways to connect to, from flags, environment and `windlass.toml`.
//!
//! | module | contents |
//! |---|---|
//! | `file` | the text of a `windlass.toml` |
//! | `gateway` | one gateway of it, checked |
//! | `sources` | the order of precedence: flags, then environment, then file |
//! | `secret` | tokens and passwords, from files, variables and prompts |
//! | `trust` | `windlass config`: the trusted files of working folders |

mod file;
mod gateway;
mod secret;
mod sources;
pub(crate) mod trust;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use windlass_protocol::{MESSAGE_LIMIT, NAME_LIMIT, printable};

pub(crate) use file::{ConfigFile, MalformedEntry, Timeouts, check_text};
pub(crate) use gateway::{DeviceChoice, GatewayConfig};
pub(crate) use secret::GivenSecret;
pub(crate) use sources::Selected;
pub(crate) use sources::{GatewayChoice, configured, is_by_address, select};

/// The name of a configuration file.
pub(crate) const FILE_NAME: &str = "windlass.toml";

/// Longest place shown, in characters: a path may have 4096 bytes.
const PLACE_LIMIT: usize = 5_000;

/// Something in flags, environment or file that can't be used. Never repeats a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub(crate) struct ConfigError {
    /// The flag, the variable, or the file with its line and field.
    pub(crate) place: String,
    /// The problem and the next step.
    pub(crate) problem: String,
}

impl ConfigError {
    /// Escapes both: they may repeat names of the file or of folders with any characters.
    pub(crate) fn new(place: impl AsRef<str>, problem: impl AsRef<str>) -> Self {
        Self {
            place: printable(place.as_ref(), PLACE_LIMIT).to_string(),
            problem: printable(problem.as_ref(), MESSAGE_LIMIT).to_string(),
        }
    }
}

/// The environment as a value, so that tests can give another: its variables, and the folder where relative paths begin.
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

/// The file's text and name, to tell the place of a span in it.
pub(crate) struct FileText<'a> {
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
    pub(crate) environment: &'a Environment<'a>,
}

impl FileText<'_> {
    /// `windlass.toml:7, gateways.a.url`.
    pub(crate) fn place(&self, offset: usize, field: &str) -> String {
        let line = 1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        let comma = if field.is_empty() { "" } else { ", " };
        format!("{}:{line}{comma}{}", self.path.display(), printable(field, NAME_LIMIT))
    }

    /// An error of the reader. Its own text is not used whole: it shows the line, and a line may hold a secret in the wrong place.
    pub(crate) fn error(&self, error: &toml::de::Error, field: &str) -> ConfigError {
        let offset = error.span().map_or(0, |span| span.start);
        ConfigError::new(self.place(offset, field), without_value(error.message()))
    }

    /// A path in the file: relative ones from the file's folder, `~/` from the home folder.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        if let (Ok(rest), Some(home)) = (path.strip_prefix("~"), self.environment.home()) {
            return home.join(rest);
        }
        self.path
            .parent()
            .map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }
}

/// The message of an error without the value that was found, which may be a token in the wrong place. Serde writes `invalid type:
/// string "…", expected a boolean`; nothing but its text tells it from other errors.
fn without_value(message: &str) -> String {
    match message.rsplit_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") => format!("expected {expected}"),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod tests;
