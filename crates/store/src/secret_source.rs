//! References to secrets: the only form in which the store holds a token of a gateway.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Serialize, Serializer};
use windlass_files::OwnerPolicy;
use windlass_protocol::{Secret, SecretPlace};

use crate::limits::SOURCE_CHARS;

/// Longest secret, in bytes. The whole `connect` request, which carries it, may have 64 KiB; a signed token with many claims has a
/// few thousand bytes.
pub const MAX_SECRET_BYTES: usize = 16 * 1024;

/// A reference to a secret. The store holds references only, so that a copy or a backup of it holds no secret, and no key has to be
/// managed.
///
/// Written, shown and read as `env:NAME`, `file:/path` or `host:name`.
///
/// ```
/// use windlass_store::SecretSource;
/// use windlass_protocol::Secret;
///
/// let source: SecretSource = "host:vault/east".parse()?;
/// let secret = source.read(&|name| (name == "vault/east").then(|| Secret::new("s3cret\n")))?;
/// assert_eq!(secret, Some(Secret::new("s3cret")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// The value of an environment variable of the process.
    Env(String),
    /// The content of a file.
    File(PathBuf),
    /// A name that the embedding service resolves, for example in its own vault.
    Host(String),
}

/// A text that is no [`SecretSource`]. The text is not shown: it may be the secret itself, put where its name belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret is given as env:NAME, file:/path or host:name; the secret itself is not stored")]
pub struct InvalidSecretSource;

/// The reason why a text can't be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnfitSecret {
    /// Over [`MAX_SECRET_BYTES`].
    #[error("it has over 16 KiB")]
    TooLong,
    /// Not UTF-8.
    #[error("it is not text")]
    NotText,
    /// A pass phrase may have blanks in it; a line break would begin another header.
    #[error("it has line breaks or control characters in it")]
    ControlCharacter,
}

/// The reason why the secret of a [`SecretSource`] can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("the environment variable {name} is not set: set it and start again")]
    NotSet {
        /// The variable.
        name: String,
    },
    /// The file can't be read, is no regular file, or other users may change it.
    #[error("can't read the secret from {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The text there can't be a secret.
    #[error("there is no secret in {place}: {why}")]
    Unfit {
        /// The source.
        place: SecretSource,
        /// The reason.
        why: UnfitSecret,
    },
    /// The embedding service does not know the name.
    #[error("the service that Windlass runs in knows no secret called {name}")]
    UnknownToHost {
        /// The name.
        name: String,
    },
}

/// A secret as it was given: without surrounding blanks, which come from a file's last line or were copied with it. `None` for an
/// empty one. Used for every secret, read or typed.
pub fn fit_secret(given: &Secret) -> Result<Option<Secret>, UnfitSecret> {
    match given.expose().trim() {
        "" => Ok(None),
        text if text.len() > MAX_SECRET_BYTES => Err(UnfitSecret::TooLong),
        text if text.chars().any(char::is_control) => Err(UnfitSecret::ControlCharacter),
        text => Ok(Some(Secret::new(text))),
    }
}

impl SecretSource {
    /// Reads the secret as [`fit_secret`] gives it; `None` if it is empty. `host` resolves the names of [`SecretSource::Host`].
    ///
    /// Blocks while it reads a file.
    pub fn read(&self, host: &dyn Fn(&str) -> Option<Secret>) -> Result<Option<Secret>, SecretError> {
        self.read_in(&|name| std::env::var_os(name), host)
    }

    /// [`SecretSource::read`] with an environment of its own: `variable` gives the value of a variable.
    pub fn read_in(
        &self,
        variable: &dyn Fn(&str) -> Option<OsString>,
        host: &dyn Fn(&str) -> Option<Secret>,
    ) -> Result<Option<Secret>, SecretError> {
        let given = match self {
            Self::Env(name) => {
                let value = variable(name).ok_or_else(|| SecretError::NotSet { name: name.clone() })?;
                Secret::new(value.into_string().map_err(|_| self.unfit(UnfitSecret::NotText))?)
            }
            Self::File(path) => Secret::new(
                windlass_files::read_guarded_text(path, MAX_SECRET_BYTES, OwnerPolicy::Any)
                    .map_err(|source| self.file_error(path, source))?,
            ),
            Self::Host(name) => host(name).ok_or_else(|| SecretError::UnknownToHost { name: name.clone() })?,
        };
        fit_secret(&given).map_err(|why| self.unfit(why))
    }

    fn unfit(&self, why: UnfitSecret) -> SecretError {
        SecretError::Unfit {
            place: self.clone(),
            why,
        }
    }

    fn file_error(&self, path: &Path, source: io::Error) -> SecretError {
        match source.kind() {
            io::ErrorKind::InvalidData => self.unfit(UnfitSecret::NotText),
            io::ErrorKind::FileTooLarge => self.unfit(UnfitSecret::TooLong),
            _ => SecretError::File {
                path: path.to_owned(),
                source,
            },
        }
    }

    /// The place of the secret, for a message.
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
mod tests;
