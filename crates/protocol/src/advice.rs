//! Advice for operators: the problem, and the next step.
//!
//! Made from typed errors, never from a gateway's own text alone; names that come from a gateway are shown without control
//! characters, and no secret can get in, because none of these types holds one.

mod refusals;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use crate::close::CloseClass;
use crate::connect::{CredentialKind, CredentialOrigins};
use crate::connect::{MAX_PROTOCOL, MIN_PROTOCOL};
use crate::connection::HandshakeFault;
use crate::refusal::{ConnectRefusal, DeviceFault, RefusalKind};
use crate::refusal::{UpgradeKind, UpgradeRefusal};
use crate::text::{NAME_LIMIT, printable};
use crate::time::Pause;

/// Two sentences for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The problem.
    pub summary: Cow<'static, str>,
    /// The next step.
    pub next_step: Cow<'static, str>,
}

impl Advice {
    /// Two sentences.
    pub fn new(summary: impl Into<Cow<'static, str>>, next_step: impl Into<Cow<'static, str>>) -> Self {
        Self {
            summary: summary.into(),
            next_step: next_step.into(),
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.summary, self.next_step)
    }
}

/// The text with a capital letter at its beginning and exactly one full stop at its end.
fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches(['.', ' ']).chars();
    let first = letters.next().map(char::to_uppercase);
    format!(
        "{}{}.",
        first.into_iter().flatten().collect::<String>(),
        letters.as_str()
    )
}

/// Turns itself into words for an operator.
pub trait Advise {
    /// The problem and the next step.
    fn advice(&self) -> Advice;
}

impl Advise for ConnectRefusal {
    fn advice(&self) -> Advice {
        self.advice_on(CredentialKind::None, &CredentialOrigins::default())
    }
}

impl ConnectRefusal {
    /// The problem and the next step, where the sent credentials and their origins are known.
    pub fn advice_on(&self, sent: CredentialKind, origins: &CredentialOrigins) -> Advice {
        match self.kind() {
            // Not of the gateway's making for good: UNAVAILABLE and whatever else may be over at the next attempt.
            RefusalKind::Other if matches!(self.pause(), Pause::Retry { .. }) => Advice::new(
                sentence(&format!("The gateway takes no connection just now: {}", self.error())),
                "Nothing to do: the connection is tried again by itself. If this goes on, look into the gateway's log.",
            ),
            // Only the answer itself says what it was about.
            RefusalKind::ClientRefused | RefusalKind::Other => {
                let error = self.error();
                Advice::new(
                    sentence(&format!("The gateway refused the connection: {error}")),
                    "Compare the gateway's release with the supported ones, and look into the gateway's log.",
                )
            }
            kind => kind.advice_on(sent, origins),
        }
    }
}

impl Advise for RefusalKind {
    fn advice(&self) -> Advice {
        self.advice_on(CredentialKind::None, &CredentialOrigins::default())
    }
}

impl RefusalKind {
    /// See [`ConnectRefusal::advice_on`].
    pub fn advice_on(&self, sent: CredentialKind, origins: &CredentialOrigins) -> Advice {
        match self {
            Self::PairingRequired { request_id } => pairing(request_id.as_deref()),
            Self::ProtocolMismatch { expected } => protocol_mismatch(*expected),
            Self::ScopeMismatch { missing } => missing_scope(missing.as_deref()),
            Self::DeviceSignature(fault) => device_fault(*fault),
            Self::DeviceIdentityRequired { control_ui: true } => control_ui_without_device(),
            Self::Starting => Advice::new(
                "The gateway is starting.",
                "Nothing to do: the connection is tried again by itself.",
            ),
            Self::ClientBuildMismatch => Advice::new(
                "The gateway takes control UIs of its own build only.",
                "Connect with a device identity (client gateway-client) instead of as a control UI.",
            ),
            Self::OriginNotAllowed => Advice::new(
                "The gateway does not allow this Origin.",
                "Add the origin of the gateway URL to gateway.controlUi.allowedOrigins, or connect with a device identity.",
            ),
            Self::ClientRefused => Advice::new(
                "The gateway refused the connect request as malformed.",
                "Compare the gateway's release with the supported ones, and look into the gateway's log.",
            ),
            Self::Other => Advice::new(
                "The gateway refused the connection.",
                "Look into the gateway's log for the reason.",
            ),
            Self::BootstrapTokenInvalid => Advice::new(
                "The pairing token is wrong or used up.",
                "Create a new one on the gateway and configure it.",
            ),
            Self::ProxyIdentityRequired => Advice::new(
                "The gateway takes users only from a proxy in front of it.",
                "Connect through that proxy, or enable token authentication on the gateway.",
            ),
            login => refusals::credentials(login, sent, origins),
        }
    }
}

fn pairing(request_id: Option<&str>) -> Advice {
    let summary = "This device is not approved on the gateway yet.";
    match request_id.filter(|id| is_plain(id)) {
        Some(id) => Advice::new(
            format!("{summary} The pairing request is {id}."),
            format!("Run on the gateway's host: openclaw devices approve {id}"),
        ),
        None => Advice::new(
            summary,
            "Run on the gateway's host: openclaw devices list, then openclaw devices approve with the request's id.",
        ),
    }
}

/// Whether a name may stand in a command that a person will paste into a shell.
fn is_plain(name: &str) -> bool {
    (1..=NAME_LIMIT).contains(&name.len())
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn protocol_mismatch(expected: Option<u32>) -> Advice {
    let ours = format!("this client offers protocol {MIN_PROTOCOL} to {MAX_PROTOCOL}");
    match expected {
        Some(theirs) if theirs > MAX_PROTOCOL => Advice::new(
            format!("No common protocol: the gateway speaks {theirs}, {ours}."),
            "Update this client, or run an older gateway release.",
        ),
        Some(theirs) => Advice::new(
            format!("No common protocol: the gateway speaks {theirs}, {ours}."),
            "Update the gateway.",
        ),
        None => Advice::new(
            format!("No common protocol with the gateway: {ours}."),
            "Compare the gateway's release with the supported ones, and update the older side.",
        ),
    }
}

fn missing_scope(missing: Option<&str>) -> Advice {
    match missing {
        Some(scope) => {
            let scope = printable(scope, NAME_LIMIT);
            Advice::new(
                format!("The gateway did not grant the scope {scope}."),
                format!(
                    "Approve this device on the gateway with {scope} (openclaw devices list shows what it has), and make sure that a \
                     device identity is used."
                ),
            )
        }
        None => Advice::new(
            "The credentials do not cover the scopes that were asked for.",
            "Verify gateway token and operator scopes: openclaw devices list shows what this device has.",
        ),
    }
}

fn control_ui_without_device() -> Advice {
    Advice::new(
        "The gateway does not take a control UI without a device identity; current releases have retired that mode.",
        "Turn disable_device_pairing off for this gateway, so that the device identity is used.",
    )
}

fn device_fault(fault: DeviceFault) -> Advice {
    match fault {
        DeviceFault::SignatureExpired => Advice::new(
            "The gateway took the device signature as too old.",
            "Set the clocks of both hosts: they must be less than two minutes apart.",
        ),
        DeviceFault::IdMismatch | DeviceFault::PublicKeyInvalid => Advice::new(
            "The gateway cannot use this device identity.",
            "Check the device.json file; if it is damaged, restore it, or move it away to get a new identity and pair again.",
        ),
        DeviceFault::NonceMismatch | DeviceFault::NonceRequired => Advice::new(
            "The device signature did not belong to this connection.",
            "Look for a proxy that mixes connections; otherwise report this with the gateway's release.",
        ),
        DeviceFault::SignatureInvalid | DeviceFault::Other => Advice::new(
            "The gateway refused the device signature.",
            "Check that device.json was not changed by hand; otherwise report this with the gateway's release.",
        ),
    }
}

impl Advise for HandshakeFault {
    fn advice(&self) -> Advice {
        match self {
            Self::Protocol(theirs) => protocol_mismatch(Some(*theirs)),
            Self::Credentials(_) => Advice::new(
                sentence(&self.to_string()),
                "Look at this gateway's device identity and at how long its token is.",
            ),
            Self::NoChallenge { .. } | Self::Unexpected(_) => Advice::new(
                sentence(&self.to_string()),
                "Check that an OpenClaw gateway listens at this address, and that it is not overloaded; its log says more.",
            ),
            Self::NoHello { .. } => Advice::new(
                sentence(&self.to_string()),
                "Look at the gateway: it is overloaded or hangs; its log says more.",
            ),
        }
    }
}

impl Advise for UpgradeRefusal {
    fn advice(&self) -> Advice {
        let status = self.status;
        match self.kind {
            UpgradeKind::Unavailable => Advice::new(
                format!("The gateway is starting or going down (HTTP {status})."),
                "Nothing to do: the connection is tried again by itself.",
            ),
            UpgradeKind::ProxyNotTrusted => Advice::new(
                format!("The gateway does not trust the proxy in front of it (HTTP {status})."),
                "Add the proxy's address to gateway.trustedProxies, or connect to the gateway directly.",
            ),
            UpgradeKind::Unauthorized => Advice::new(
                format!("A server in front of the gateway wants a login (HTTP {status})."),
                "Use the gateway's own address, let its path through on the proxy, or send the header that the proxy wants.",
            ),
            UpgradeKind::Forbidden => Advice::new(
                format!("The server refused the connection (HTTP {status})."),
                "Check the access rules of the gateway's host and of any proxy before it.",
            ),
            UpgradeKind::NotFound => Advice::new(
                format!("There is no gateway at this URL (HTTP {status})."),
                "Check host, port and path of the gateway URL.",
            ),
            UpgradeKind::Redirect => Advice::new(
                format!("The URL leads elsewhere (HTTP {status}); redirects are not followed, to keep the token here."),
                "Configure the address that it leads to, with wss:// if that is encrypted.",
            ),
            UpgradeKind::TooManyRequests => Advice::new(
                format!("A server on the way limits the number of connections (HTTP {status})."),
                "Raise that limit; until then the connection is tried again by itself.",
            ),
            UpgradeKind::ServerError => Advice::new(
                format!("The server in front of the gateway cannot reach it (HTTP {status})."),
                "Check that the gateway runs; the connection is tried again by itself.",
            ),
            UpgradeKind::NotAGateway => Advice::new(
                format!("What answers at this URL is not a gateway (HTTP {status})."),
                "Check scheme, host and port of the gateway URL.",
            ),
        }
    }
}

impl Advise for CloseClass {
    fn advice(&self) -> Advice {
        let by_itself = "Nothing to do: the connection is made again by itself.";
        match self {
            Self::Normal => Advice::new("The gateway closed the connection.", by_itself),
            Self::ProtocolMismatch => protocol_mismatch(None),
            Self::ProtocolError => Advice::new(
                "The other side saw a broken frame.",
                "If this repeats, check any proxy between here and the gateway.",
            ),
            Self::Abnormal => Advice::new(
                "The connection broke without a goodbye.",
                "If this repeats, check the network and whether the gateway was killed.",
            ),
            Self::PolicyRefused => Advice::new(
                "The gateway refused the connection.",
                "Verify gateway token and operator scopes, and look into the gateway's log.",
            ),
            Self::DeviceTokenMismatch => RefusalKind::DeviceTokenMismatch.advice(),
            Self::SlowConsumer => Advice::new(
                "The gateway gave up because its events were not read fast enough.",
                "If this repeats, give this process more CPU or subscribe to fewer sessions.",
            ),
            Self::UnauthorizedCalls => Advice::new(
                "The gateway gave up because of repeated calls that this role may not make.",
                "Verify gateway token and operator scopes.",
            ),
            Self::TooBig => Advice::new(
                "A request was larger than the gateway takes.",
                "Send less at once: attachments and messages count; older gateways take 512 KiB.",
            ),
            Self::ServerFault => Advice::new("The gateway failed.", "If this repeats, look into the gateway's log."),
            Self::ServiceRestart => Advice::new("The gateway stops or restarts.", by_itself),
            Self::StartingUp => Advice::new("The gateway is starting, or busy with itself.", by_itself),
            Self::PolicyChanged => Advice::new(
                "Token or policy of the gateway was changed.",
                "If the next connection is refused, configure the new token.",
            ),
            Self::DeviceRemoved => Advice::new(
                "This device was removed from the gateway.",
                "If that was not meant, approve it again: openclaw devices list, then openclaw devices approve.",
            ),
            Self::ClientTimeout => Advice::new(
                "The gateway showed no sign of life and was given up.",
                "If this repeats, check the gateway's load and the network.",
            ),
            Self::Unknown => Advice::new(
                "The connection was closed for an unknown reason.",
                "If this repeats, look into the gateway's log.",
            ),
        }
    }
}
