//! The first request of every connection.

mod auth;
mod names;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::auth::Auth;
pub use self::names::{ClientId, ClientMode, Role, Scope};
use crate::open::open_object;

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
