//! From an address to a WebSocket, each phase by itself.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Request, header};
use tokio_tungstenite::tungstenite::{self, Error as WsError};
use tokio_tungstenite::{WebSocketStream, client_async};
use windlass_actors::transport::{BoxedIo, TlsFault};
use windlass_actors::{DialError, TcpConnector, TlsPolicy};
use windlass_protocol::{Advice, Advise as _, UpgradeRefusal};

use super::Stopped;
use super::steps::{Findings, Step};
use crate::cli::exit::Exit;
use crate::cli::session::Target;

/// An open WebSocket.
pub(super) type Socket = WebSocketStream<BoxedIo>;

/// How long the upgrade may take: a gateway answers in milliseconds, one that hangs accepts TCP and never answers.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(15);

pub(super) async fn dial(target: &Target, findings: &mut Findings) -> Result<Socket, Stopped> {
    let (spec, connector) = (&target.spec, TcpConnector::default());
    let endpoint = &spec.endpoint;
    let fail = |findings: &mut Findings, step, error: &DialError| {
        findings.failed(
            step,
            Advice::new(with_sources(error), dial_step(error)),
            Exit::Unreachable,
        )
    };
    let addresses = connector
        .resolve(endpoint)
        .await
        .map_err(|error| fail(findings, Step::Dns, &error))?;
    let shown: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    findings.ok(Step::Dns, shown.join(", "));
    let tcp = connector
        .connect(&addresses)
        .await
        .map_err(|error| fail(findings, Step::Tcp, &error))?;
    findings.ok(
        Step::Tcp,
        tcp.peer_addr()
            .map_or_else(|_| "connected".to_owned(), |peer| peer.to_string()),
    );
    let stream = if endpoint.is_secure() {
        let encrypted = connector.encrypt(tcp, endpoint, &spec.tls).await;
        let encrypted = encrypted.map_err(|error| fail(findings, Step::Tls, &error))?;
        findings.ok(Step::Tls, tls_detail(&spec.tls));
        encrypted
    } else {
        findings.ok(
            Step::Tls,
            "not used: the url begins with ws://, so anyone in between can read along",
        );
        Box::new(tcp)
    };
    let socket = upgrade(target, stream)
        .await
        .map_err(|(advice, exit)| findings.failed(Step::Upgrade, advice, exit))?;
    findings.ok(Step::Upgrade, "a WebSocket");
    Ok(socket)
}

const fn tls_detail(policy: &TlsPolicy) -> &'static str {
    match policy {
        TlsPolicy::SystemRoots => "trusted by the system's roots",
        TlsPolicy::Pinned(_) => "the pinned certificate",
        TlsPolicy::Insecure => {
            "encrypted, but the certificate is not checked: anyone in between can pose as the gateway"
        }
    }
}

fn dial_step(error: &DialError) -> &'static str {
    match error {
        DialError::Dns(_) => "Check the host name in the url, and this machine's name resolution.",
        DialError::Tls(TlsFault::PinMismatch { .. }) => {
            "If the certificate was renewed, compare this fingerprint on the gateway's host and pin it; otherwise somebody \
             may stand in between."
        }
        DialError::Tls(TlsFault::Untrusted(_)) => {
            "Have the certificate signed by a root that this machine trusts, or pin its SHA-256 fingerprint with tls.pin."
        }
        DialError::Tls(TlsFault::NoRoots) => "Install the system's CA certificates, or pin the gateway's fingerprint.",
        DialError::Tls(_) => {
            "Check whether the gateway speaks TLS on that port: without TLS the url begins with ws://."
        }
        DialError::Tcp(_) | DialError::Timeout { .. } => {
            "Check that the gateway runs and listens on that address and port, and that no firewall is in between."
        }
        _ => "Check the gateway's url.",
    }
}

async fn upgrade(target: &Target, stream: BoxedIo) -> Result<Socket, (Advice, Exit)> {
    let unusable = |_| {
        (
            Advice::new("The url or a header can't be sent", "Check url and headers_env."),
            Exit::Usage,
        )
    };
    let request = request(target).map_err(unusable)?;
    match timeout(UPGRADE_TIMEOUT, client_async(request, stream)).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(WsError::Http(response))) => {
            let retry_after = response
                .headers()
                .get(header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok());
            let body = response.body().as_deref().unwrap_or_default();
            let refusal = UpgradeRefusal::new(response.status().as_u16(), body).with_retry_after(retry_after);
            Err((refusal.advice(), Exit::Unreachable))
        }
        Ok(Err(error)) => Err((
            Advice::new(
                format!("What answers there does not speak WebSocket ({error})"),
                "Check that the url is the gateway's own address and port, and that no proxy in between swallows \
                 WebSockets.",
            ),
            Exit::Unreachable,
        )),
        Err(_) => Err((
            Advice::new(
                format!("The upgrade was not answered within {} s", UPGRADE_TIMEOUT.as_secs()),
                "The gateway's process hangs, or the port belongs to something else: look at it on its host.",
            ),
            Exit::Unreachable,
        )),
    }
}

/// Why a request can't be made; the text could repeat a secret.
struct Unusable;

fn request(target: &Target) -> Result<Request<()>, Unusable> {
    let spec = &target.spec;
    let mut url = spec.endpoint.to_string();
    if let (true, Some(token)) = (spec.token_in_query, &spec.token) {
        let encoded: String = url_encode(token.expose());
        url = format!("{}/?token={encoded}", url.trim_end_matches('/'));
    }
    let mut request = url.into_client_request().map_err(|_: tungstenite::Error| Unusable)?;
    for (name, value) in &target.headers {
        let name: HeaderName = name.parse().map_err(|_| Unusable)?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| Unusable)?;
        value.set_sensitive(true);
        request.headers_mut().append(name, value);
    }
    Ok(request)
}

/// Percent-encodes everything but letters, digits and `-_.~`.
fn url_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// An error and all that caused it, in one line.
pub(super) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::url_encode;

    #[test]
    fn a_token_in_a_query_is_one_value() {
        assert_eq!(url_encode("a-Z_0.~&=+ %é"), "a-Z_0.~%26%3D%2B%20%25%C3%A9");
    }
}
