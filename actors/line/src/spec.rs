//! The configuration of one gateway, and its parts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tungstenite::http::{HeaderMap, HeaderName, HeaderValue};
use windlass_protocol::connection::{BackoffPolicy, CallLimits, Handshake};
use windlass_protocol::{CAP_TOOL_EVENTS, ClientInfo, CredentialOrigins, DeviceIdentity, GatewayId, Scope, Secret};

use crate::{Endpoint, TlsPolicy, TokenKey};

/// A gateway as its line is told to reach it. `Debug` shows no secret.
///
/// ```
/// use windlass_line::{Endpoint, GatewaySpec, Header};
/// use windlass_protocol::{GatewayId, Secret};
///
/// let mut spec = GatewaySpec::new(GatewayId::new("lab")?, Endpoint::parse("ws://localhost:18789")?);
/// spec.token = Some(Secret::new("7f3a90c2"));
/// spec.headers.push(Header::new("X-Proxy-Key", "b1946ac9")?);
/// let shown = format!("{spec:?}");
/// assert!(!shown.contains("7f3a90c2") && !shown.contains("b1946ac9"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
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

/// One HTTP header for the upgrade: for a proxy in front of the gateway that wants to be shown something.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    name: HeaderName,
    value: Secret,
}

/// A header that can't be sent. The value is not repeated: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an HTTP header's name or value has characters that it can't have")]
pub struct InvalidHeader;

impl Header {
    /// Checks a header.
    ///
    /// # Errors
    /// [`InvalidHeader`] where HTTP does not allow the name or the value.
    pub fn new(name: &str, value: impl Into<String>) -> Result<Self, InvalidHeader> {
        let value = Secret::new(value.into());
        HeaderValue::from_str(value.expose()).map_err(|_| InvalidHeader)?;
        Ok(Self {
            name: name.parse().map_err(|_| InvalidHeader)?,
            value,
        })
    }
}

impl Header {
    /// Puts the header into a request. Its value is marked as a secret there.
    pub(crate) fn append_to(&self, headers: &mut HeaderMap) {
        if let Ok(mut value) = HeaderValue::from_str(self.value.expose()) {
            value.set_sensitive(true);
            headers.append(self.name.clone(), value);
        }
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ***", self.name)
    }
}

/// How many failures of one actor are too many, and the consequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntensityPolicy {
    /// Failures within [`window`](Self::window) that are still restarted after the ordinary backoff.
    pub failures: usize,
    /// The window.
    pub window: Duration,
    /// How long a degraded actor rests before each further restart.
    pub rest: Duration,
}

impl Default for IntensityPolicy {
    /// Five failures a minute: a bug that strikes with each event is seen at once, one that strikes now and then is
    /// not. A rest of 30 s keeps a broken line from burning a core and still lets it heal by itself.
    fn default() -> Self {
        Self {
            failures: 5,
            window: Duration::from_secs(60),
            rest: Duration::from_secs(30),
        }
    }
}
