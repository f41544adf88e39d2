//! Where a gateway's token is to be found.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use windlass_files::Owner;
use windlass_protocol::{Secret, SecretPlace};

use crate::limits::SOURCE_CHARS;

/// Largest file that is read as a secret, in bytes: a signed token with many claims has a few thousand.
const FILE_LIMIT: usize = 64 * 1024;

/// A reference to a secret. The store holds references only, so that a copy or a backup of it holds no secret and there is no key
/// that has to be managed, changed and not lost.
///
/// Written, shown and read as `env:NAME`, `file:/path` or `host:name`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// The value of an environment variable of the process.
    Env(String),
    /// The content of a file, without blanks around it.
    File(PathBuf),
    /// A name that the embedding service resolves, for example in its own vault.
    Host(String),
}

/// A text that is no [`SecretSource`]. The text is not shown: it may be the secret itself, put where its name belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret is given as env:NAME, file:/path or host:name; the secret itself is not stored")]
pub struct InvalidSecretSource;

/// Why a secret can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set, or not text.
    #[error("the environment variable {name} is not set: set it to the gateway's token and start again")]
    NotSet {
        /// The variable.
        name: String,
    },
    /// The file can't be read, is no regular file, or somebody else may change it.
    #[error("can't read the gateway's token from {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no token: over 64 KiB, or not text.
    #[error("{} is no token: over 64 KiB, or not text", path.display())]
    NoToken {
        /// The file.
        path: PathBuf,
    },
    /// The embedding service does not know the name.
    #[error("the service that Windlass runs in knows no secret called {name}")]
    UnknownToHost {
        /// The name.
        name: String,
    },
}

impl SecretSource {
    /// Reads the secret, without blanks around it; `None` where it is empty. `host` resolves the names of [`SecretSource::Host`].
    ///
    /// Blocks while it reads a file.
    pub fn read(&self, host: &dyn Fn(&str) -> Option<Secret>) -> Result<Option<Secret>, SecretError> {
        let secret = match self {
            Self::Env(name) => {
                Secret::new(std::env::var(name).map_err(|_| SecretError::NotSet { name: name.clone() })?)
            }
            Self::File(path) => {
                let failed = |source: io::Error| match source.kind() {
                    io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge => {
                        SecretError::NoToken { path: path.clone() }
                    }
                    _ => SecretError::File {
                        path: path.clone(),
                        source,
                    },
                };
                let text = windlass_files::read_guarded_text(path, FILE_LIMIT, Owner::Any).map_err(failed)?;
                Secret::new(text)
            }
            Self::Host(name) => host(name).ok_or_else(|| SecretError::UnknownToHost { name: name.clone() })?,
        };
        let trimmed = secret.expose().trim();
        Ok((!trimmed.is_empty()).then(|| Secret::new(trimmed)))
    }
}

impl SecretSource {
    /// Where the secret lies.
    pub fn place(&self) -> SecretPlace {
        match self {
            Self::Env(name) => SecretPlace::Variable(name.clone()),
            Self::File(path) => SecretPlace::File(path.clone()),
            Self::Host(name) => SecretPlace::Host(name.clone()),
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Host(name) => write!(f, "host:{name}"),
        }
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SecretSource {
    type Err = InvalidSecretSource;

    fn from_str(text: &str) -> Result<Self, InvalidSecretSource> {
        let (kind, rest) = text.split_once(':').ok_or(InvalidSecretSource)?;
        if rest.is_empty() || rest.chars().count() > SOURCE_CHARS || rest.chars().any(char::is_control) {
            return Err(InvalidSecretSource);
        }
        match kind {
            "env" if is_variable(rest) => Ok(Self::Env(rest.to_owned())),
            "file" => Ok(Self::File(PathBuf::from(rest))),
            "host" => Ok(Self::Host(rest.to_owned())),
            _ => Err(InvalidSecretSource),
        }
    }
}

/// A name as every shell takes it.
fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Serialize for SecretSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nobody(_: &str) -> Option<Secret> {
        None
    }

    #[test]
    fn the_three_kinds_read_back_as_they_are_written() {
        for text in ["env:OPENCLAW_TOKEN", "file:/run/secrets/token", "host:prod/gateway:1"] {
            let source: SecretSource = text.parse().unwrap();
            assert_eq!(source.to_string(), text);
            assert_eq!(serde_json::to_value(&source).unwrap(), text);
        }
    }

    #[test]
    fn a_secret_in_place_of_its_name_is_refused_and_not_shown() {
        for text in [
            "s3cret-value",
            "env:s3cret-value",
            "env:1A",
            "env:",
            "vault:s3cret",
            "host:a\nb",
            "",
        ] {
            let error = text.parse::<SecretSource>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"));
        }
    }

    #[test]
    fn a_secret_is_read_without_the_blanks_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let source = SecretSource::File(path.clone());
        assert!(matches!(source.read(&nobody), Err(SecretError::File { .. })));
        std::fs::write(&path, "  hunter2\n").unwrap();
        assert_eq!(source.read(&nobody).unwrap(), Some(Secret::new("hunter2")));
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(source.read(&nobody).unwrap(), None);
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(source.read(&nobody), Err(SecretError::NoToken { .. })));
        std::fs::write(&path, vec![b'x'; 64 * 1024 + 1]).unwrap();
        assert!(matches!(source.read(&nobody), Err(SecretError::NoToken { .. })));
    }

    #[test]
    fn the_host_and_the_environment_are_asked_by_name() {
        let host = SecretSource::Host("vault".into());
        assert_eq!(
            host.read(&|name| Some(Secret::new(name.to_uppercase()))).unwrap(),
            Some(Secret::new("VAULT"))
        );
        assert!(matches!(host.read(&nobody), Err(SecretError::UnknownToHost { .. })));
        assert!(SecretSource::Env("PATH".into()).read(&nobody).unwrap().is_some());
        let unset = SecretSource::Env("WINDLASS_IS_NOT_SET_ANYWHERE".into())
            .read(&nobody)
            .unwrap_err();
        assert!(unset.to_string().contains("WINDLASS_IS_NOT_SET_ANYWHERE"), "{unset}");
    }
}
