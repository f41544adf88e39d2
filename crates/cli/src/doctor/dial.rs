//! From an address to a WebSocket, each phase by itself.

use windlass_line::GatewaySpec;
use windlass_line::transport::{Socket, open_websocket};
use windlass_line::{DialError, TcpConnector, TlsPolicy};
use windlass_protocol::Advise as _;

use super::Stopped;
use super::steps::{Findings, Step};
use crate::exit::Exit;

pub(super) async fn dial(target: &GatewaySpec, findings: &mut Findings) -> Result<Socket, Stopped> {
    let (spec, connector) = (target, TcpConnector::default());
    let endpoint = &spec.endpoint;
    let fail =
        |findings: &mut Findings, step, error: &DialError| findings.failed(step, error.advice(), Exit::Unreachable);
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
    let socket = open_websocket(stream, spec).await;
    let socket = socket.map_err(|error| findings.failed(Step::Upgrade, error.advice(), Exit::Unreachable))?;
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
