//! The HTTP upgrade, and the settings of the WebSocket.

use std::fmt;
use std::time::Duration;

use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Request, Response, header};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Error};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use windlass_protocol::{Secret, UpgradeRefusal};

use super::{BoxedIo, DialPhase, Metered, Pulse};
use crate::clock::within;
use crate::{Endpoint, GatewaySpec};

/// An open WebSocket to a gateway.
pub type Socket = WebSocketStream<Metered<BoxedIo>>;

/// Largest message taken from a gateway. Gateways send up to 25 MiB and a bit (an error that repeats a 25 MiB request
/// had 26 MB on 2026.9.6); twice that leaves room for later releases and still bounds a hostile one.
pub(crate) const MAX_MESSAGE: usize = 50 * 1024 * 1024;

/// The bytes that a WebSocket reads at a time. It keeps that much for as long as it lives (and more after a larger message), and
/// clears it before each read; 128 KiB is what the library would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadBuffer {
    /// Until hello-ok, which is a few kilobytes to some twenty.
    Opening,
    /// Some events a minute: ten thousand lines that are quiet take 10 MB for it.
    Quiet,
    /// Bursts: some seventy answers in one read.
    Busy,
}

impl ReadBuffer {
    const fn bytes(self) -> usize {
        match self {
            Self::Opening => 4 * 1024,
            Self::Quiet => 1024,
            Self::Busy => 16 * 1024,
        }
    }

    /// Whether that much was read that it may have grown.
    pub(crate) const fn may_have_grown(self, bytes_read: u64) -> bool {
        bytes_read > self.bytes() as u64
    }

    fn config(self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(self.bytes())
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE))
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
    /// What answered does not speak WebSocket.
    #[error("what answers there does not speak WebSocket: {0}")]
    NotWebSocket(String),
    /// The connection broke.
    #[error("the connection broke during the WebSocket upgrade: {0}")]
    Broken(String),
}

/// Upgrades a stream to a WebSocket as a line does, for those who want to go through its steps by themselves.
///
/// # Errors
/// [`UpgradeError`] within [`GatewaySpec::handshake_timeout`].
pub async fn open_websocket(io: BoxedIo, spec: &GatewaySpec) -> Result<Socket, UpgradeError> {
    upgrade(io, Pulse::default(), spec).await
}

/// Upgrades a stream whose incoming bytes beat `pulse`.
pub(crate) async fn upgrade(io: BoxedIo, pulse: Pulse, spec: &GatewaySpec) -> Result<Socket, UpgradeError> {
    // Only for a proxy that looks for the token there: it goes on the wire and nowhere else.
    let query = spec.token.as_ref().filter(|_| spec.token_in_query);
    let request = request(&spec.endpoint, &spec.headers, query)?;
    let config = ReadBuffer::Opening.config();
    let opening = client_async_with_config(request, Metered::new(io, pulse), Some(config));
    match within(spec.handshake_timeout, opening).await {
        None => Err(UpgradeError::Timeout(spec.handshake_timeout)),
        Some(Err(error)) => Err(fault(error)),
        Some(Ok((socket, _response))) => Ok(socket),
    }
}

/// The same connection with fresh buffers, while the present ones hold nothing: all that came in was read
/// ([`Pulse::is_all_read`]), all that was written is flushed.
pub(crate) async fn with_read_buffer(socket: Socket, size: ReadBuffer) -> Socket {
    WebSocketStream::from_raw_socket(socket.into_inner(), Role::Client, Some(size.config())).await
}

fn request(endpoint: &Endpoint, headers: &[Header], query: Option<&Secret>) -> Result<Request<()>, UpgradeError> {
    let mut url = endpoint.to_string();
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

fn fault(error: Error) -> UpgradeError {
    match error {
        Error::Http(response) => refusal(&response).into(),
        Error::Io(error) => UpgradeError::Broken(error.kind().to_string()),
        Error::Protocol(tungstenite::error::ProtocolError::HandshakeIncomplete) | Error::ConnectionClosed => {
            UpgradeError::Broken("closed without an answer".into())
        }
        other => UpgradeError::NotWebSocket(other.to_string()),
    }
}

fn refusal(response: &Response<Option<Vec<u8>>>) -> UpgradeRefusal {
    let retry_after = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let body = response.body().as_deref().unwrap_or_default();
    UpgradeRefusal::new(response.status().as_u16(), body).with_retry_after(retry_after)
}
