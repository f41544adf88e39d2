//! Which credentials a gateway is sent, and where they come from: all that may be said of them.

use std::fmt;
use std::path::PathBuf;

use crate::text::{MESSAGE_LIMIT, printable};

/// Where a secret lies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretPlace {
    /// In an environment variable of this name.
    Variable(String),
    /// In a file.
    File(PathBuf),
    /// It was typed in.
    Prompt,
    /// The host program gave it under this name.
    Host(String),
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "the variable {}", printable(name, MESSAGE_LIMIT)),
            Self::File(path) => write!(f, "the file {}", printable(&path.to_string_lossy(), MESSAGE_LIMIT)),
            Self::Prompt => f.write_str("the prompt"),
            Self::Host(name) => write!(f, "the host program's secret {}", printable(name, MESSAGE_LIMIT)),
        }
    }
}

/// The origin of a secret. It travels with the secret, so that an error can name the wrong one; the secret itself is not
/// in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretOrigin {
    /// Where it lies.
    pub place: SecretPlace,
    /// The flag, the line of a configuration or the record that names this place.
    pub named_by: Option<String>,
}

impl SecretOrigin {
    /// A secret that lies there.
    pub const fn new(place: SecretPlace) -> Self {
        Self { place, named_by: None }
    }

    /// The same, with the flag, line or record that names it.
    pub fn named_by(mut self, name: impl Into<String>) -> Self {
        self.named_by = Some(name.into());
        self
    }
}

impl fmt::Display for SecretOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.named_by {
            Some(name) => write!(f, "{} ({})", self.place, printable(name, MESSAGE_LIMIT)),
            None => self.place.fmt(f),
        }
    }
}

/// Where the credentials of a gateway come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialOrigins {
    /// Its token.
    pub token: Option<SecretOrigin>,
    /// Its password.
    pub password: Option<SecretOrigin>,
    /// How another token is given, to be read behind a colon: `set WINDLASS_TOKEN`.
    pub how_to_give: Option<String>,
}

/// Which credentials a `connect` carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredentialKind {
    /// None at all.
    #[default]
    None,
    /// The gateway's shared token.
    Token,
    /// The gateway's shared password.
    Password,
    /// Both of them.
    TokenAndPassword,
    /// The token that the gateway issued for this device.
    DeviceToken,
    /// The shared token and the device's.
    TokenAndDeviceToken,
    /// A one-time token for pairing.
    BootstrapToken,
}
