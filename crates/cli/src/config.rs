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

use windlass_protocol::{MESSAGE_LIMIT, printable};

pub(crate) mod command;
mod environment;
mod file;
mod gateway;
mod secret;
mod sources;
mod span;
mod trust;

pub(crate) use environment::Environment;
pub(crate) use file::{ConfigFile, MalformedEntry, Timeouts, check_text};
pub(crate) use gateway::{DeviceChoice, GatewayConfig};
pub(crate) use secret::GivenSecret;
pub(crate) use sources::{Choice, FILE_NAME, configured, is_by_address, select};
pub(crate) use span::parse_span;

pub(crate) use sources::Selected;

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

#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod tests;
