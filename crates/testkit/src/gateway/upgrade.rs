//! The HTTP side of the WebSocket upgrade.

use serde_json::json;
use tokio_tungstenite::tungstenite::handshake::server::{Callback as Decide, ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};

use super::clock;
use super::handshake::Upgrade;
use super::server::Server;

/// Looks at the request and lets the upgrade pass or not.
pub(crate) struct Callback<'a> {
    pub(crate) server: &'a Server,
    pub(crate) seen: &'a mut Upgrade,
}

impl Decide for Callback<'_> {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        *self.seen = Upgrade {
            origin: header("origin"),
            host: header("host"),
            forwarded: header("x-forwarded-for").is_some() || header("forwarded").is_some(),
        };
        if self
            .server
            .state()
            .unavailable_until
            .is_some_and(|until| clock::now() < until)
        {
            return Err(refusal(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"));
        }
        // 2026.9.6 does not let an untrusted proxy speak for a client.
        if self.seen.forwarded && self.server.profile.v4() && !self.server.options.trusted_proxy {
            let body = json!({"error": {"type": "proxy_attribution_required", "message": "untrusted proxy"}});
            return Err(refusal(StatusCode::FORBIDDEN, &body.to_string()));
        }
        Ok(response)
    }
}

fn refusal(status: StatusCode, body: &str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(body.to_owned()));
    *response.status_mut() = status;
    // Without a length the client would wait for the end of the stream.
    response
        .headers_mut()
        .insert("content-length", HeaderValue::from(body.len()));
    response
        .headers_mut()
        .insert("connection", HeaderValue::from_static("close"));
    response
}
