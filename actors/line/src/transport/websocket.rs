//! The request for a WebSocket, and the time that its answer may take.

use std::fmt;
use std::time::Duration;

use tungstenite::client::IntoClientRequest as _;
use tungstenite::http::{HeaderName, HeaderValue, Request};
use windlass_protocol::{Secret, UpgradeRefusal};

use super::upgrade::upgrade;
use super::{BoxedIo, DialPhase, Socket};
use crate::clock::within;
use crate::{Endpoint, GatewaySpec};

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

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ***", self.name)
    }
}

/// Why a stream did not become a WebSocket.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The other side answered with another HTTP status than 101.
    #[error(transparent)]
    Refused(#[from] UpgradeRefusal),
    /// No answer came.
    #[error("{} took longer than {} s", DialPhase::Upgrade, .0.as_secs())]
    Timeout(Duration),
    /// The server does not speak WebSocket.
    #[error("what answers there does not speak WebSocket: {0}")]
    NotWebSocket(String),
    /// The connection broke.
    #[error("the connection broke during the WebSocket upgrade: {0}")]
    Broken(String),
}

/// Upgrades a stream to a WebSocket, as a line does and as a diagnosis does that goes through a line's steps.
///
/// # Errors
/// [`UpgradeError`] within [`GatewaySpec::handshake_timeout`].
pub async fn open_websocket(io: BoxedIo, spec: &GatewaySpec) -> Result<Socket, UpgradeError> {
    // Only for a proxy that looks for the token there: it goes on the wire and nowhere else.
    let query = spec.token.as_ref().filter(|_| spec.token_in_query);
    let request = request(&spec.endpoint, &spec.headers, query)?;
    match within(spec.handshake_timeout, upgrade(io, request)).await {
        None => Err(UpgradeError::Timeout(spec.handshake_timeout)),
        Some(upgraded) => upgraded,
    }
}

fn request(endpoint: &Endpoint, headers: &[Header], query: Option<&Secret>) -> Result<Request<()>, UpgradeError> {
    let mut url = endpoint.address();
    if let Some(token) = query {
        let encoded: String = url::form_urlencoded::byte_serialize(token.expose().as_bytes()).collect();
        url = format!("{}/?token={encoded}", url.trim_end_matches('/'));
    }
    // The error could repeat the URL, and with it the token.
    let mut request = url
        .into_client_request()
        .map_err(|_| UpgradeError::NotWebSocket("unusable URL".into()))?;
    for extra in headers {
        if let Ok(mut value) = HeaderValue::from_str(extra.value.expose()) {
            value.set_sensitive(true);
            request.headers_mut().append(extra.name.clone(), value);
        }
    }
    Ok(request)
}
