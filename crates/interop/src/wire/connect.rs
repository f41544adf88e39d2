//! The `connect` request of the raw client.

use serde_json::{Value, json};

use crate::{
    clock,
    device::{Device, SignatureForm, SignedFields},
};

/// Every operator scope that the measured releases know.
pub const ALL_SCOPES: [&str; 5] = [
    "operator.read",
    "operator.write",
    "operator.admin",
    "operator.approvals",
    "operator.pairing",
];

const ROLE: &str = "operator";
const PLATFORM: &str = "linux";
const CLIENT_VERSION: &str = "1.0.0";

/// The client of a `connect`, and its options. Starts as the local backend client with protocol 3 to 4.
#[derive(Clone)]
pub struct ConnectAs<'a> {
    client: (&'static str, &'static str),
    range: (u32, u32),
    scopes: Vec<String>,
    caps: Vec<String>,
    token: Option<&'a str>,
    device_token: Option<&'a str>,
    device: Option<(&'a Device, SignatureForm)>,
}

impl std::fmt::Debug for ConnectAs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectAs")
            .field("client", &self.client)
            .field("range", &self.range)
            .field("scopes", &self.scopes)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

impl<'a> ConnectAs<'a> {
    /// Client `gateway-client` in mode `backend`, with all scopes and without any credential.
    pub fn backend() -> Self {
        Self {
            client: ("gateway-client", "backend"),
            range: (3, 4),
            scopes: ALL_SCOPES.iter().map(|&scope| scope.to_owned()).collect(),
            caps: Vec::new(),
            token: None,
            device_token: None,
            device: None,
        }
    }

    /// Client `cli` in mode `cli`: gateways pair its local devices without approval.
    pub fn cli() -> Self {
        Self {
            client: ("cli", "cli"),
            ..Self::backend()
        }
    }

    /// Sends the gateway token.
    #[must_use]
    pub fn token(mut self, token: &'a str) -> Self {
        self.token = Some(token);
        self
    }

    /// Sends a device token.
    #[must_use]
    pub fn device_token(mut self, token: &'a str) -> Self {
        self.device_token = Some(token);
        self
    }

    /// Signs as `device`.
    #[must_use]
    pub fn device(mut self, device: &'a Device, form: SignatureForm) -> Self {
        self.device = Some((device, form));
        self
    }

    /// Offers the protocol versions `min` to `max`.
    #[must_use]
    pub fn range(mut self, min: u32, max: u32) -> Self {
        self.range = (min, max);
        self
    }

    /// Asks for these scopes only.
    #[must_use]
    pub fn scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        self
    }

    /// Announces a capability, such as `tool-events`.
    #[must_use]
    pub fn cap(mut self, cap: &str) -> Self {
        self.caps.push(cap.to_owned());
        self
    }

    /// The params for a gateway that sent `challenge`.
    ///
    /// The device signs at the challenge's own time, so the two clocks need not agree.
    pub(super) fn params(&self, challenge: &Value) -> Value {
        let (id, mode) = self.client;
        let mut params = json!({
            "minProtocol": self.range.0, "maxProtocol": self.range.1,
            "client": {"id": id, "version": CLIENT_VERSION, "platform": PLATFORM, "mode": mode},
            "role": ROLE, "scopes": self.scopes,
        });
        if !self.caps.is_empty() {
            params["caps"] = json!(self.caps);
        }
        if let Some(token) = self.token {
            params["auth"]["token"] = json!(token);
        }
        if let Some(token) = self.device_token {
            params["auth"]["deviceToken"] = json!(token);
        }
        if let Some((device, form)) = self.device {
            params["device"] = self.signed(device, form, challenge);
        }
        params
    }

    fn signed(&self, device: &Device, form: SignatureForm, challenge: &Value) -> Value {
        let nonce = challenge["nonce"].as_str().unwrap_or_default();
        let own = || u64::try_from(clock::since_epoch().as_millis()).unwrap_or(u64::MAX);
        let signed_at_ms = challenge["ts"].as_u64().unwrap_or_else(own);
        let fields = SignedFields {
            client_id: self.client.0,
            client_mode: self.client.1,
            role: ROLE,
            scopes: &self.scopes,
            signed_at_ms,
            token: self.token.or(self.device_token).unwrap_or_default(),
            nonce,
            platform: PLATFORM,
        };
        json!({
            "id": device.id(), "publicKey": device.public_key(),
            "signature": device.sign(form, &fields), "signedAt": signed_at_ms, "nonce": nonce,
        })
    }
}
