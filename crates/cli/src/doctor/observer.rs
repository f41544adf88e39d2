//! A connector that records the steps of a line which connects.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;
use tokio::sync::Notify;
use windlass_line::transport::{BoxedIo, Dialing};
use windlass_line::{ConnectStep, Connector, DialError, Endpoint, GatewaySpec, TcpConnector, TlsPolicy};
use windlass_protocol::connection::HandshakeFault;
use windlass_protocol::{
    ConnectRefusal, CredentialKind, CredentialOrigins, GatewayId, HelloOk, RefusalKind, SecretOrigin,
};

use crate::doctor::findings::{DoctorStep, Findings};
use crate::text::escaped;

/// Longest release name shown, in characters.
const RELEASE_LIMIT: usize = 32;
/// Longest name of a login method shown, in characters.
const METHOD_LIMIT: usize = 40;
/// Characters of a device id that are enough to find it in a list.
const DEVICE_ID: usize = 12;

/// Dials as every line does, and records the steps of the last attempt.
pub(crate) struct Observer {
    connector: TcpConnector,
    origins: CredentialOrigins,
    device: Option<String>,
    attempt: Mutex<ExaminedAttempt>,
    finished: Notify,
}

/// The steps of one attempt.
#[derive(Default)]
struct ExaminedAttempt {
    findings: Findings,
    /// The step that failed, where more is known than how far the attempt came.
    failed: Option<DoctorStep>,
    is_accepted: bool,
    /// Its result stands: further attempts of the line are not made.
    is_final: bool,
}

impl Observer {
    pub(crate) fn new(spec: &GatewaySpec) -> Self {
        let device = spec.device.as_ref();
        Self {
            connector: TcpConnector::default(),
            origins: spec.origins.clone(),
            device: device.map(|device| device.device_id().chars().take(DEVICE_ID).collect()),
            attempt: Mutex::default(),
            finished: Notify::new(),
        }
    }

    /// Waits for hello-ok, or for an attempt that leaves no other credentials to try. Returns whether the gateway accepted `connect`.
    pub(crate) async fn finished(&self) -> bool {
        self.finished.notified().await;
        self.lock().is_accepted
    }

    /// The steps of the last attempt that succeeded.
    pub(crate) fn findings(&self) -> Findings {
        self.lock().findings.clone()
    }

    /// The step at which the last attempt failed: without a better reason the first that was not reached.
    pub(crate) fn failed_step(&self) -> DoctorStep {
        let attempt = self.lock();
        let unreached = DoctorStep::ALL.into_iter().find(|step| !attempt.findings.is_ok(*step));
        // A gateway that goes silent after its challenge has not let us in.
        let unreached = unreached.map(|step| {
            if step == DoctorStep::Protocol {
                DoctorStep::Auth
            } else {
                step
            }
        });
        attempt.failed.or(unreached).unwrap_or(DoctorStep::Scopes)
    }

    fn lock(&self) -> MutexGuard<'_, ExaminedAttempt> {
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ok(&self, step: DoctorStep, detail: impl Into<String>) {
        self.lock().findings.ok(step, detail);
    }

    async fn open(&self, endpoint: &Endpoint, tls: &TlsPolicy) -> Result<BoxedIo, DialError> {
        if self.lock().is_final {
            // The line tries again until it is closed.
            return std::future::pending().await;
        }
        *self.lock() = ExaminedAttempt::default();
        let addresses = self.connector.resolve(endpoint).await?;
        let shown: Vec<_> = addresses
            .iter()
            .map(|address: &SocketAddr| address.ip().to_string())
            .collect();
        self.ok(DoctorStep::Dns, shown.join(", "));
        let tcp = self.connector.connect(&addresses).await?;
        self.ok(DoctorStep::Tcp, peer_of(&tcp));
        if endpoint.is_secure() {
            let encrypted = self.connector.encrypt(tcp, endpoint, tls).await?;
            self.ok(DoctorStep::Tls, tls_detail(tls));
            Ok(encrypted)
        } else {
            self.ok(
                DoctorStep::Tls,
                "not used: the url begins with ws://, so anyone in between can read along",
            );
            Ok(Box::new(tcp))
        }
    }

    fn refused(&self, refusal: &ConnectRefusal) {
        let step = match refusal.kind() {
            RefusalKind::Starting => DoctorStep::Challenge,
            RefusalKind::ProtocolMismatch { .. } | RefusalKind::ClientRefused | RefusalKind::ClientBuildMismatch => {
                DoctorStep::Protocol
            }
            RefusalKind::PairingRequired { .. } => DoctorStep::Pairing,
            RefusalKind::ScopeMismatch { .. } => DoctorStep::Scopes,
            _ => DoctorStep::Auth,
        };
        // Gateways check in the order of the steps, so everything before the one that failed is good.
        for (good, detail) in [
            (DoctorStep::Protocol, "acceptable"),
            (DoctorStep::Auth, "accepted"),
            (DoctorStep::Pairing, "accepted"),
        ] {
            if good < step {
                self.ok(good, detail);
            }
        }
        self.lock().failed = Some(step);
    }

    fn accepted(&self, hello: &HelloOk, sent: CredentialKind) {
        let version = escaped(&hello.server.version, RELEASE_LIMIT);
        self.ok(
            DoctorStep::Protocol,
            format!("protocol {}, release {version}", hello.protocol),
        );
        self.ok(DoctorStep::Auth, self.login(hello, sent));
        self.ok(
            DoctorStep::Pairing,
            match &self.device {
                Some(device) => format!("device {device} is accepted"),
                None => "not used: no device identity is shown".to_owned(),
            },
        );
    }

    /// The credentials that were sent, and the ones that the gateway says it took, where it says so.
    fn login(&self, hello: &HelloOk, sent: CredentialKind) -> String {
        let from =
            |origin: &Option<SecretOrigin>| origin.as_ref().map_or_else(String::new, |from| format!(" from {from}"));
        let (token, password) = (from(&self.origins.token), from(&self.origins.password));
        let sent = match sent {
            CredentialKind::Token => format!("with the gateway token{token}"),
            CredentialKind::Password => format!("with the gateway password{password}"),
            CredentialKind::TokenAndPassword => {
                format!("with the gateway token{token} and the gateway password{password}")
            }
            CredentialKind::DeviceToken => "with the stored device token".to_owned(),
            CredentialKind::TokenAndDeviceToken => {
                format!("with the stored device token; the gateway token{token} is wrong, correct or remove it")
            }
            CredentialKind::None => "the gateway needs no token".to_owned(),
            _ => "with a pairing token".to_owned(),
        };
        match hello.auth_method() {
            Some(method) => format!("{sent}; the gateway used: {}", escaped(method, METHOD_LIMIT)),
            None => sent,
        }
    }

    fn finish(&self) {
        self.lock().is_final = true;
        self.finished.notify_one();
    }
}

impl Connector for Observer {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, tls: &'a TlsPolicy) -> Dialing<'a> {
        Box::pin(self.open(endpoint, tls))
    }

    fn on_step(&self, _: &GatewayId, step: &ConnectStep<'_>) {
        match step {
            ConnectStep::Upgraded => self.ok(DoctorStep::Upgrade, "a WebSocket"),
            ConnectStep::Challenged => self.ok(DoctorStep::Challenge, "received"),
            ConnectStep::Refused(refusal) => self.refused(refusal),
            ConnectStep::Broken(HandshakeFault::Protocol(_)) => self.lock().failed = Some(DoctorStep::Protocol),
            ConnectStep::Accepted(hello, sent) => {
                self.accepted(hello, *sent);
                self.lock().is_accepted = true;
                self.finish();
            }
            ConnectStep::Failed {
                tries_other_credentials: false,
            } => self.finish(),
            _ => {}
        }
    }
}

fn peer_of(tcp: &TcpStream) -> String {
    tcp.peer_addr()
        .map_or_else(|_| "connected".to_owned(), |peer| peer.to_string())
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
