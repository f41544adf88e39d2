//! Tokens and passwords: where they come from, and how they are read.

use std::path::{Path, PathBuf};

use windlass_files::Owner;
use windlass_protocol::{Secret, SecretPlace};

use super::ConfigError;
use super::environment::Environment;

/// Where a secret is. Holds the secret itself only when it was typed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretSource {
    /// The whole text of a file, without the blanks and line breaks around it.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A name that only a service which embeds Windlass knows.
    Host(String),
    /// Typed in.
    Typed(Secret),
}

/// Longest secret taken, in bytes: the whole `connect` request may have 64 KiB.
const MAX_SECRET: usize = 16 * 1024;

impl SecretSource {
    /// Gets the secret. `place` is what named this source, for the error.
    pub(crate) fn read(&self, place: &str, environment: &Environment<'_>) -> Result<Secret, ConfigError> {
        let secret = match self {
            Self::Typed(secret) => secret.clone(),
            Self::Host(name) => {
                let problem = format!(
                    "only the service that made this record knows the secret {name}: type the token with --ask-token"
                );
                return Err(ConfigError::new(place, problem));
            }
            Self::Variable(name) => {
                let value = environment.text(name)?;
                Secret::new(value.ok_or_else(|| ConfigError::new(place, format!("the variable {name} is not set")))?)
            }
            Self::File(path) => read_file(path).map_err(|problem| ConfigError::new(place, problem))?,
        };
        // Blanks around it come from the file's last line, or were copied with it.
        let secret = Secret::new(secret.expose().trim());
        check(&secret).map_err(|problem| ConfigError::new(place, problem))?;
        Ok(secret)
    }

    /// Where the secret lies, as records write it.
    pub(crate) fn reference(&self) -> String {
        match self {
            Self::File(path) => format!("file:{}", path.display()),
            Self::Variable(name) => format!("env:{name}"),
            Self::Host(name) => format!("host:{name}"),
            Self::Typed(_) => "prompt".to_owned(),
        }
    }

    /// Where the secret lies.
    pub(crate) fn place(&self) -> SecretPlace {
        match self {
            Self::File(path) => SecretPlace::File(path.clone()),
            Self::Variable(name) => SecretPlace::Variable(name.clone()),
            Self::Host(name) => SecretPlace::Host(name.clone()),
            Self::Typed(_) => SecretPlace::Prompt,
        }
    }
}

fn read_file(path: &Path) -> Result<Secret, String> {
    let shown = path.display();
    let text = windlass_files::read_guarded_text(path, MAX_SECRET, Owner::Any)
        .map(Secret::new)
        .map_err(|error| format!("{shown} can't be read: {error}"))?;
    warn_if_exposed(path);
    Ok(text)
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

fn check(secret: &Secret) -> Result<(), &'static str> {
    match secret.expose() {
        "" => Err("the secret there is empty"),
        text if text.len() > MAX_SECRET => Err("what is there has over 16 KiB and is no token"),
        // A pass phrase may have blanks in it; a line break would begin another header.
        text if text.chars().any(char::is_control) => {
            Err("what is there has line breaks or control characters in it and is no token")
        }
        _ => Ok(()),
    }
}
