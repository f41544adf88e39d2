//! Tokens and passwords of a run: those that a record or `windlass.toml` names, and one that was typed in.

use std::path::Path;

use windlass::store::{SecretError, SecretSource, UnfitSecret, fit_secret};
use windlass_protocol::{Secret, SecretPlace};

use crate::config::ConfigError;
use crate::config::Environment;

/// A secret for this run. It holds the secret itself only when it was typed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GivenSecret {
    /// In a file, an environment variable, or a service that embeds Windlass.
    Stored(SecretSource),
    /// Typed in.
    Typed(Secret),
}

impl GivenSecret {
    /// Reads the secret. `place` names this source in the error.
    pub(crate) fn read(&self, place: &str, environment: &Environment<'_>) -> Result<Secret, ConfigError> {
        let secret = match self {
            Self::Typed(secret) => fit_secret(secret).map_err(unfit),
            Self::Stored(source) => read(source, environment),
        };
        let secret = secret.map_err(|problem| ConfigError::new(place, problem))?;
        secret.ok_or_else(|| ConfigError::new(place, "the secret there is empty"))
    }

    /// The place of the secret, as records write it.
    pub(crate) fn reference(&self) -> String {
        match self {
            Self::Stored(source) => source.to_string(),
            Self::Typed(_) => "prompt".to_owned(),
        }
    }

    /// The place of the secret.
    pub(crate) fn place(&self) -> SecretPlace {
        match self {
            Self::Stored(source) => source.place(),
            Self::Typed(_) => SecretPlace::Prompt,
        }
    }
}

fn read(source: &SecretSource, environment: &Environment<'_>) -> Result<Option<Secret>, String> {
    // An empty variable counts as not set, as everywhere in the configuration.
    let variable = |name: &str| (environment.variable)(name).filter(|value| !value.is_empty());
    let secret = source.read_in(&variable, &|_| None).map_err(|error| match error {
        SecretError::NotSet { name } => format!("the variable {name} is not set"),
        SecretError::File { path, source } => format!("{} can't be read: {source}", path.display()),
        SecretError::Unfit { why, .. } => unfit(why),
        SecretError::UnknownToHost { name } => {
            format!("only the service that made this record knows the secret {name}: type the token with --ask-token")
        }
        other => other.to_string(),
    })?;
    if let SecretSource::File(path) = source {
        warn_if_exposed(path);
    }
    Ok(secret)
}

fn unfit(why: UnfitSecret) -> String {
    format!("the text there is no token: {why}")
}

/// A token file is only warned of, unlike the device's private key: orchestrators mount secrets readable for all users
/// of the container, and the token opens one gateway only.
#[cfg(unix)]
fn warn_if_exposed(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
    if mode & 0o004 != 0 {
        tracing::warn!(path = %path.display(), "every user of this machine can read this token file: run chmod 600 on it");
    }
}

#[cfg(not(unix))]
fn warn_if_exposed(_: &Path) {}
