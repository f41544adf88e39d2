//! The configuration of one gateway.

use std::sync::Arc;
use std::time::Duration;

use windlass_protocol::connection::{BackoffPolicy, CallLimits, Handshake};
use windlass_protocol::{CAP_TOOL_EVENTS, ClientInfo, CredentialOrigins, DeviceIdentity, GatewayId, Scope, Secret};

use crate::supervision::IntensityPolicy;
use crate::transport::Header;
use crate::{Endpoint, TlsPolicy, TokenKey};

/// A gateway as its line is told to reach it. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct GatewaySpec {
    /// Its name in the registry.
    pub id: GatewayId,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// The gateway token, if it wants one.
    pub token: Option<Secret>,
    /// The gateway password, if it wants one. With both, both are sent, and the gateway takes the one that its mode asks for.
    pub password: Option<Secret>,
    /// Where token and password come from, to be told when the gateway refuses them.
    pub origins: CredentialOrigins,
    /// The key that this client signs with. Without one, the gateways of 2026.3.13 and 2026.4.15 grant no scopes.
    pub device: Option<Arc<DeviceIdentity>>,
    /// The program to connect as.
    pub client: ClientInfo,
    /// The rights to ask for.
    pub scopes: Vec<Scope>,
    /// The abilities of this client: without `tool-events` no tool events are sent.
    pub caps: Vec<String>,
    /// Whom to believe on `wss://`.
    pub tls: TlsPolicy,
    /// Headers for a proxy in between.
    pub headers: Vec<Header>,
    /// Whether to show the token in the URL's query too, for a proxy that looks for it there. Off unless asked for:
    /// proxies log URLs.
    pub token_in_query: bool,
    /// How long each step from an open socket to hello-ok may take: the WebSocket upgrade, the gateway's challenge, and its answer to
    /// `connect`. The reference client's 15 s unless given; gateways answer within milliseconds, slow shards within seconds.
    pub handshake_timeout: Duration,
    /// Bounds of the calls.
    pub limits: CallLimits,
    /// Delays between attempts.
    pub backoff: BackoffPolicy,
    /// When failures become too many.
    pub intensity: IntensityPolicy,
}

impl GatewaySpec {
    /// A gateway with the settings of a supervisor: client `gateway-client` in mode `backend`, all operator scopes,
    /// system roots, no credentials yet.
    pub fn new(id: GatewayId, endpoint: Endpoint) -> Self {
        Self {
            id,
            endpoint,
            token: None,
            password: None,
            origins: CredentialOrigins::default(),
            device: None,
            client: ClientInfo::backend(env!("CARGO_PKG_VERSION"), std::env::consts::OS),
            scopes: Scope::supervisor(),
            caps: vec![CAP_TOOL_EVENTS.to_owned()],
            tls: TlsPolicy::default(),
            headers: Vec::new(),
            token_in_query: false,
            handshake_timeout: Handshake::TIMEOUT,
            limits: CallLimits::default(),
            backoff: BackoffPolicy::default(),
            intensity: IntensityPolicy::default(),
        }
    }
    /// The key under which this gateway's device token is kept.
    pub fn token_key(&self) -> TokenKey {
        TokenKey::new(self.id.clone(), self.endpoint.clone())
    }
}
