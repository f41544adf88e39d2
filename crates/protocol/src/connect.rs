//! The first request of every connection: its members, its names, its credentials, and where the credentials come from.

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::open::{open_object, wire_names};
use crate::text::{Exposed, MESSAGE_LIMIT, Secret, printable};

/// Lowest generation offered: the only one that releases up to 2026.4 speak.
pub const MIN_PROTOCOL: u32 = 3;
/// Highest generation offered: the only one that releases from 2026.5 on speak. A range is accepted by all nine releases of 2026
/// measured, a pinned generation only by some.
pub const MAX_PROTOCOL: u32 = 4;

/// Largest frame that a gateway reads before hello, in bytes; more is answered with close 1009 (2026.3.13, 2026.9.6).
pub const MAX_CONNECT_BYTES: usize = 64 * 1024;

/// The capability of clients that want the `agent` events of tools for the runs they start.
pub const CAP_TOOL_EVENTS: &str = "tool-events";

open_object! {
    /// The payload of `connect.challenge`, the first frame of every connection.
    pub struct Challenge {
        required {
            /// To be signed.
            nonce: String = "nonce",
        }
        optional {
            /// The gateway's clock, in ms since 1970: used as `signedAt`, it makes clock skew irrelevant.
            ts: u64 = "ts",
            /// Capability names (from 2026.9 on).
            capabilities: Vec<String> = "capabilities",
        }
    }
}

/// Params of `connect`. Every object in it is closed on the gateway's side: a member that a release does not know is refused, so
/// everything that is not known to all of them is optional and left out when `None`.
///
/// Serialising it writes the credentials. `Debug` does not.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectParams {
    /// Lowest generation offered.
    pub min_protocol: u32,
    /// Highest generation offered.
    pub max_protocol: u32,
    /// The program that connects.
    pub client: ClientInfo,
    /// The role that it asks for.
    pub role: Role,
    /// With which rights.
    pub scopes: Vec<Scope>,
    /// The abilities of this client, for example [`CAP_TOOL_EVENTS`].
    pub caps: Vec<String>,
    /// Credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// The signed device identity; without one, some releases grant no scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceBlock>,
    /// A language tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// `connect.client`. Texts must not be empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientInfo {
    /// The kind of program.
    pub id: ClientId,
    /// How it is used.
    pub mode: ClientMode,
    /// The program's version.
    pub version: String,
    /// The operating system; part of the signed v3 payload.
    pub platform: String,
    /// A name for lists of clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The kind of machine; part of the signed v3 payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// The model of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_identifier: Option<String>,
    /// Tells several instances of one program apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// The control UI's build; not known to generation 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
}

impl ClientInfo {
    /// A backend (`gateway-client` / `backend`).
    pub fn backend(version: impl Into<String>, platform: impl Into<String>) -> Self {
        Self::new(ClientId::GatewayClient, ClientMode::Backend, version, platform)
    }

    /// A control UI (`openclaw-control-ui` / `ui`): works without a device only on generation 3, and only if its configuration
    /// allows it.
    pub fn control_ui(version: impl Into<String>, platform: impl Into<String>) -> Self {
        Self::new(ClientId::ControlUi, ClientMode::Ui, version, platform)
    }

    /// Any client, without the optional members.
    pub fn new(id: ClientId, mode: ClientMode, version: impl Into<String>, platform: impl Into<String>) -> Self {
        Self {
            id,
            mode,
            version: version.into(),
            platform: platform.into(),
            display_name: None,
            device_family: None,
            model_identifier: None,
            instance_id: None,
            build_id: None,
        }
    }
}

/// `connect.device`, made by [`DeviceIdentity::sign`](crate::DeviceIdentity::sign).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceBlock {
    /// Lower-case hex SHA-256 of the public key.
    pub id: String,
    /// The raw public key, base64url without padding.
    pub public_key: String,
    /// The signature, base64url without padding.
    pub signature: String,
    /// In ms since 1970; within 120 s of the gateway's clock.
    pub signed_at: u64,
    /// The challenge's nonce.
    pub nonce: String,
}

impl ConnectParams {
    /// The method name.
    pub const METHOD: &'static str = "connect";

    /// An operator with the full protocol range, no capabilities, and neither credentials nor device yet.
    pub fn operator(client: ClientInfo, scopes: Vec<Scope>) -> Self {
        Self {
            min_protocol: MIN_PROTOCOL,
            max_protocol: MAX_PROTOCOL,
            client,
            role: Role::Operator,
            scopes,
            caps: Vec::new(),
            auth: None,
            device: None,
            locale: None,
            user_agent: None,
        }
    }

    /// A supervisor: client `gateway-client`, mode `backend`, tool events, all of [`Scope::supervisor`].
    pub fn backend(version: impl Into<String>, platform: impl Into<String>) -> Self {
        let mut params = Self::operator(ClientInfo::backend(version, platform), Scope::supervisor());
        params.caps.push(CAP_TOOL_EVENTS.to_owned());
        params
    }

    /// With these credentials.
    pub fn with_auth(mut self, auth: Option<Auth>) -> Self {
        self.auth = auth;
        self
    }

    /// With this device block.
    pub fn with_device(mut self, device: Option<DeviceBlock>) -> Self {
        self.device = device;
        self
    }
}

wire_names! {
    /// `client.id`. Gateways refuse any other name; a supervisor is `gateway-client`.
    pub enum ClientId {
        GatewayClient = "gateway-client",
        Cli = "cli",
        ControlUi = "openclaw-control-ui",
        Webchat = "webchat",
        WebchatUi = "webchat-ui",
        MacOs = "openclaw-macos",
        Ios = "openclaw-ios",
        Android = "openclaw-android",
        NodeHost = "node-host",
        Probe = "openclaw-probe",
        Test = "test",
        Fingerprint = "fingerprint",
        /// Not known to 2026.3.13.
        Tui = "openclaw-tui",
        /// Not known to 2026.3.13.
        Linux = "openclaw-linux",
        /// Not known to 2026.3.13.
        WatchOs = "openclaw-watchos",
        /// Not known to 2026.3.13.
        Worker = "openclaw-worker",
        /// Not known to 2026.3.13.
        BrowserCopilot = "openclaw-browser-copilot",
    }
}

wire_names! {
    /// `client.mode`. Gateways refuse any other name.
    pub enum ClientMode {
        Backend = "backend",
        Cli = "cli",
        Ui = "ui",
        Webchat = "webchat",
        Node = "node",
        Probe = "probe",
        Test = "test",
        /// Not known to 2026.3.13.
        Worker = "worker",
    }
}

wire_names! {
    /// `role`. Gateways refuse any other name.
    pub enum Role {
        Operator = "operator",
        Node = "node",
        /// Not known to 2026.3.13.
        Worker = "worker",
    }
}

wire_names! {
    /// The rights of an operator. Gateways accept unknown names without a word.
    pub enum Scope {
        Read = "operator.read",
        Write = "operator.write",
        Admin = "operator.admin",
        Approvals = "operator.approvals",
        Pairing = "operator.pairing",
        Questions = "operator.questions",
        Talk = "operator.talk",
    }
}

impl Scope {
    /// The rights that a supervisor needs: all but talk and questions, which generation 3 does not know.
    pub fn supervisor() -> Vec<Self> {
        vec![Self::Read, Self::Write, Self::Admin, Self::Approvals, Self::Pairing]
    }
}

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
