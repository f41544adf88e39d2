//! From a WebSocket to hello-ok.

use std::time::Duration;

use tungstenite::Message;
use windlass_line::GatewaySpec;
use windlass_line::transport::Socket;
use windlass_line::{Clock as _, Deadline, DeviceTokenStore as _, TlsPolicy, TokioClock};
use windlass_protocol::connection::{Handshake, HandshakeFault, HandshakeStep};
use windlass_protocol::{
    Advice, Advise as _, Auth, CallId, Challenge, CloseCode, CloseReason, ConnectParams, ConnectRefusal,
    CredentialKind, CredentialPlan, DeviceFault, EndpointTrust, HelloOk, Pause, RawJson, RefusalKind, Role,
    SecretOrigin, SignatureInput, SignatureVersion, StoreAction,
};

use super::Stopped;
use super::steps::{Findings, Step};
use crate::exit::{Exit, of_handshake};
use crate::session::Tokens;
use crate::text::{escaped, millis};

/// The id of the connect request.
const CONNECT: CallId = CallId::new(0);
/// How long a goodbye may take, as for a line.
const CLOSE_GRACE: Duration = Duration::from_millis(250);
/// Longest release name shown, in characters.
const RELEASE_LIMIT: usize = 32;

/// The login of one gateway: at most one attempt per credential and signature that the gateway may take.
pub(super) struct Login<'a> {
    target: &'a GatewaySpec,
    tokens: &'a Tokens,
    plan: CredentialPlan,
    signature: SignatureVersion,
}

/// A connection that the gateway let in.
pub(super) struct Connected {
    pub(super) socket: Socket,
    pub(super) hello: HelloOk,
}

impl Connected {
    /// Says goodbye; that the gateway hears it is not waited for, and that it takes it not for long.
    pub(super) async fn close(mut self) {
        let _ = tokio::time::timeout(CLOSE_GRACE, self.socket.close(None)).await;
    }
}

/// What stands at the end of a handshake that did not end in hello-ok.
enum End {
    Refused(ConnectRefusal),
    Fault(HandshakeFault),
    Closed(CloseReason),
    Broken(String),
}

impl<'a> Login<'a> {
    pub(super) fn new(target: &'a GatewaySpec, tokens: &'a Tokens) -> Self {
        let spec = target;
        let configured = Auth::configured(spec.token.clone(), spec.password.clone());
        let pinned = spec.endpoint.is_secure() && matches!(spec.tls, TlsPolicy::Pinned(_));
        let trusted = spec.endpoint.is_loopback() || pinned;
        let trust = if trusted {
            EndpointTrust::Trusted
        } else {
            EndpointTrust::Untrusted
        };
        let plan = CredentialPlan::new(configured, tokens.load(&spec.token_key()), trust);
        Self {
            target,
            tokens,
            plan,
            signature: SignatureVersion::V3,
        }
    }

    /// One attempt. Nothing when there is another one to make, on a new connection.
    pub(super) async fn attempt(
        &mut self,
        mut socket: Socket,
        findings: &mut Findings,
    ) -> Result<Option<Connected>, Stopped> {
        // Before a refusal makes another choice of it.
        let sent = self.plan.kind();
        match self.shake_hands(&mut socket, findings).await {
            Ok(hello) => {
                self.keep(self.plan.clone().on_hello(&hello));
                self.describe(&hello, findings);
                Ok(Some(Connected { socket, hello }))
            }
            Err(End::Refused(refusal)) if self.has_another_try(&refusal) => Ok(None),
            Err(End::Refused(refusal)) => Err(self.write_refusal(&refusal, sent, findings)),
            Err(end) => Err(write_down(&end, findings)),
        }
    }

    async fn shake_hands(&self, socket: &mut Socket, findings: &mut Findings) -> Result<HelloOk, End> {
        let clock = TokioClock::start();
        let mut handshake = Handshake::begin(CONNECT, clock.now(), self.target.handshake_timeout);
        let mut deadline = Deadline::at(handshake.deadline());
        loop {
            deadline.set(handshake.deadline());
            let text = next_text(socket, &mut deadline, &handshake).await?;
            let sign = |challenge: &Challenge| self.connect_params(challenge, millis(clock.wall()));
            match handshake.receive(&text, clock.now(), sign).map_err(End::Fault)? {
                HandshakeStep::Wait => {}
                HandshakeStep::Send(frame) => {
                    findings.ok(Step::Challenge, "received");
                    deadline.set(handshake.deadline());
                    let sent = deadline.give(socket.send(Message::text(frame))).await;
                    sent.ok_or_else(|| End::Fault(handshake.late()))?
                        .map_err(|error| End::Broken(error.to_string()))?;
                }
                HandshakeStep::Up(read) => return Ok(read.hello),
                HandshakeStep::Refused(refusal) => return Err(End::Refused(refusal)),
            }
        }
    }

    fn connect_params(&self, challenge: &Challenge, now_ms: u64) -> Result<RawJson, String> {
        let (spec, auth) = (self.target, self.plan.choose());
        let device = spec.device.as_ref().map(|device| {
            let input = SignatureInput {
                client: &spec.client,
                role: &Role::Operator,
                scopes: &spec.scopes,
                token: auth.as_ref().and_then(Auth::signature_token),
                signed_at_ms: challenge.ts.unwrap_or(now_ms),
                nonce: &challenge.nonce,
            };
            device.sign(&input, self.signature)
        });
        let mut params = ConnectParams::operator(spec.client.clone(), spec.scopes.clone());
        params.caps.clone_from(&spec.caps);
        RawJson::from_value(&params.with_auth(auth).with_device(device)).map_err(|error| error.to_string())
    }

    /// 2026.1.30 takes v2 signatures only, and a device token may be taken where the token is not.
    fn has_another_try(&mut self, refusal: &ConnectRefusal) -> bool {
        let fault = RefusalKind::DeviceSignature(DeviceFault::SignatureInvalid);
        if *refusal.kind() == fault && self.signature == SignatureVersion::V3 {
            self.signature = SignatureVersion::V2;
            return true;
        }
        let after = self.plan.on_refusal(refusal);
        let again = after.pause != refusal.pause() && matches!(after.pause, Pause::Retry { .. });
        self.keep(after.store);
        again
    }

    fn keep(&self, action: StoreAction) {
        let (id, key) = (&self.target.id, self.target.token_key());
        let done = match action {
            StoreAction::Keep => Ok(()),
            StoreAction::Save(token) => self.tokens.store(&key, &token),
            StoreAction::Forget => self.tokens.clear(&key),
        };
        if let Err(error) = done {
            tracing::warn!(gateway = %id, %error, "the device token");
        }
    }

    /// What let us in: what was sent, and what the gateway says that it took, where it says so.
    fn used(&self, hello: &HelloOk) -> String {
        let origins = &self.target.origins;
        let from =
            |origin: &Option<SecretOrigin>| origin.as_ref().map_or_else(String::new, |from| format!(" from {from}"));
        let sent = match self.plan.kind() {
            CredentialKind::Token => format!("with the gateway token{}", from(&origins.token)),
            CredentialKind::Password => format!("with the gateway password{}", from(&origins.password)),
            CredentialKind::TokenAndPassword => format!(
                "with the gateway token{} and the gateway password{}",
                from(&origins.token),
                from(&origins.password)
            ),
            CredentialKind::DeviceToken => "with the stored device token".to_owned(),
            CredentialKind::TokenAndDeviceToken => format!(
                "with the stored device token; the gateway token{} is wrong, correct or remove it",
                from(&origins.token)
            ),
            CredentialKind::None => "the gateway wants no token".to_owned(),
            _ => "with a pairing token".to_owned(),
        };
        match hello.auth_method() {
            Some(method) => format!("{sent}; the gateway goes by: {}", escaped(method, METHOD_LIMIT)),
            None => sent,
        }
    }

    /// Gateways check in the order of the steps, so everything before the one that failed is good.
    fn write_refusal(&self, refusal: &ConnectRefusal, sent: CredentialKind, findings: &mut Findings) -> Stopped {
        let step = match refusal.kind() {
            RefusalKind::Starting => Step::Challenge,
            RefusalKind::ProtocolMismatch { .. } | RefusalKind::ClientRefused | RefusalKind::ClientBuildMismatch => {
                Step::Protocol
            }
            RefusalKind::PairingRequired { .. } => Step::Pairing,
            RefusalKind::ScopeMismatch { .. } => Step::Scopes,
            _ => Step::Auth,
        };
        for (good, detail) in [
            (Step::Protocol, "acceptable"),
            (Step::Auth, "accepted"),
            (Step::Pairing, "accepted"),
        ] {
            if good < step {
                findings.ok(good, detail);
            }
        }
        let exit = match refusal.kind() {
            RefusalKind::Starting => Exit::Unreachable,
            _ => Exit::Refused,
        };
        findings.failed(step, refusal.advice_on(sent, &self.target.origins), exit)
    }

    fn describe(&self, hello: &HelloOk, findings: &mut Findings) {
        let version = escaped(&hello.server.version, RELEASE_LIMIT);
        findings.ok(
            Step::Protocol,
            format!("protocol {}, release {version}", hello.protocol),
        );
        findings.ok(Step::Auth, self.used(hello));
        findings.ok(
            Step::Pairing,
            match &self.target.device {
                Some(device) => format!("device {} is let in", short(device.device_id())),
                None => "not used: no device identity is shown".to_owned(),
            },
        );
    }
}

/// Longest name of a way to log in that is shown, in characters.
const METHOD_LIMIT: usize = 40;

fn write_down(end: &End, findings: &mut Findings) -> Stopped {
    match end {
        // Told by one who knows which credentials were refused.
        End::Refused(refusal) => findings.failed(Step::Auth, refusal.advice(), Exit::Refused),
        End::Fault(fault) => {
            let step = match fault {
                HandshakeFault::Protocol(_) => Step::Protocol,
                HandshakeFault::NoHello { .. } | HandshakeFault::Credentials(_) => Step::Auth,
                _ => Step::Challenge,
            };
            findings.failed(step, fault.advice(), of_handshake(fault))
        }
        End::Closed(reason) => {
            let advice = reason.class().advice();
            let advice = Advice::new(format!("{} ({reason})", advice.summary), advice.next_step);
            findings.failed(unanswered(findings), advice, Exit::Unreachable)
        }
        End::Broken(why) => {
            let next = "Try again; if it stays, look at the gateway's process and the network in between.";
            let advice = Advice::new(format!("The connection broke: {why}"), next);
            findings.failed(unanswered(findings), advice, Exit::Unreachable)
        }
    }
}

/// The step at which nothing came back.
fn unanswered(findings: &Findings) -> Step {
    if findings.is_ok(Step::Challenge) {
        Step::Auth
    } else {
        Step::Challenge
    }
}

/// Enough of an id to find it in a list.
fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// The next text message, within the handshake's deadline.
async fn next_text(socket: &mut Socket, deadline: &mut Deadline, handshake: &Handshake) -> Result<String, End> {
    loop {
        let message = deadline.give(socket.next()).await;
        match message.ok_or_else(|| End::Fault(handshake.late()))? {
            Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
            Some(Ok(Message::Close(Some(frame)))) => {
                return Err(End::Closed(CloseReason::new(
                    CloseCode(frame.code.into()),
                    frame.reason.as_str(),
                )));
            }
            Some(Ok(Message::Close(None))) | None => return Err(End::Closed(CloseReason::abnormal())),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(End::Broken(error.to_string())),
        }
    }
}
