//! The credentials of a `connect`.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::credentials::CredentialKind;
use crate::secret::{Exposed, Secret};

/// `connect.auth`. `Debug` shows which credential it is, never its text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// The gateway's shared token.
    Token(Secret),
    /// The gateway's shared password.
    Password(Secret),
    /// Both: a gateway looks at the one that its mode asks for, as the reference client has it.
    TokenAndPassword {
        /// The gateway's shared token.
        token: Secret,
        /// The gateway's shared password.
        password: Secret,
    },
    /// A token that the gateway issued for this device. It goes out as `auth.token`: measured gateways take it there as well as in
    /// `auth.deviceToken`, and the releases before that member existed know no other place (the object is closed).
    DeviceToken(Secret),
    /// The shared token with the device token beside it: the second try after the shared one was refused.
    TokenAndDeviceToken {
        /// The gateway's shared token.
        token: Secret,
        /// The device's own.
        device_token: Secret,
    },
    /// A one-time token for pairing.
    BootstrapToken(Secret),
}

impl Serialize for Auth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Token(token) | Self::DeviceToken(token) => map.serialize_entry("token", &Exposed(token))?,
            Self::Password(password) => map.serialize_entry("password", &Exposed(password))?,
            Self::BootstrapToken(token) => map.serialize_entry("bootstrapToken", &Exposed(token))?,
            Self::TokenAndPassword { token, password } => {
                map.serialize_entry("token", &Exposed(token))?;
                map.serialize_entry("password", &Exposed(password))?;
            }
            Self::TokenAndDeviceToken { token, device_token } => {
                map.serialize_entry("token", &Exposed(token))?;
                map.serialize_entry("deviceToken", &Exposed(device_token))?;
            }
        }
        map.end()
    }
}

impl Auth {
    /// The credentials that are configured for a gateway. An empty secret counts as none.
    pub fn configured(token: Option<Secret>, password: Option<Secret>) -> Option<Self> {
        let there = |secret: Option<Secret>| secret.filter(|secret| !secret.is_empty());
        match (there(token), there(password)) {
            (Some(token), Some(password)) => Some(Self::TokenAndPassword { token, password }),
            (Some(token), None) => Some(Self::Token(token)),
            (None, password) => password.map(Self::Password),
        }
    }

    /// Which credentials these are.
    pub const fn kind(&self) -> CredentialKind {
        match self {
            Self::Token(_) => CredentialKind::Token,
            Self::Password(_) => CredentialKind::Password,
            Self::TokenAndPassword { .. } => CredentialKind::TokenAndPassword,
            Self::DeviceToken(_) => CredentialKind::DeviceToken,
            Self::TokenAndDeviceToken { .. } => CredentialKind::TokenAndDeviceToken,
            Self::BootstrapToken(_) => CredentialKind::BootstrapToken,
        }
    }

    /// The token that goes into the signed payload: `token`, else `deviceToken`, else `bootstrapToken`; a password does not.
    pub fn signature_token(&self) -> Option<&Secret> {
        match self {
            Self::Token(token)
            | Self::DeviceToken(token)
            | Self::BootstrapToken(token)
            | Self::TokenAndPassword { token, .. }
            | Self::TokenAndDeviceToken { token, .. } => Some(token),
            Self::Password(_) => None,
        }
    }
}
