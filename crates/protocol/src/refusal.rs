//! Why a gateway refused `connect` or the HTTP upgrade to a WebSocket, and when to try again.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::Value;

use crate::error::{DetailCode, ErrorClass, ErrorCode, GatewayError};
use crate::time::Pause;

/// The fault in the device block of a `connect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceFault {
    /// The nonce is not the one of this connection's challenge.
    NonceMismatch,
    /// No nonce was sent.
    NonceRequired,
    /// The signature does not fit. 2026.1.30 refuses every v3 payload like this and takes v2.
    SignatureInvalid,
    /// `signedAt` is more than 120 s off the gateway's clock; sign with the challenge's `ts` instead.
    SignatureExpired,
    /// The device id is not the hash of the public key.
    IdMismatch,
    /// The public key cannot be read.
    PublicKeyInvalid,
    /// A device fault that this build does not know.
    Other,
}

/// Why a gateway refused `connect`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalKind {
    /// The gateway wants a token and got none.
    TokenMissing,
    /// The token is wrong.
    TokenMismatch {
        /// The gateway suggests the device token. Not to be believed after one was just used.
        may_use_device_token: bool,
    },
    /// The device token is wrong or revoked: forget it.
    DeviceTokenMismatch,
    /// The one-time pairing token is wrong or used up.
    BootstrapTokenInvalid,
    /// The gateway wants a password and got none.
    PasswordMissing,
    /// The password is wrong.
    PasswordMismatch,
    /// The identity of this client has to come from a proxy in front of the gateway (identity header, verified user).
    ProxyIdentityRequired,
    /// Some other fault of the credentials.
    Unauthorized,
    /// Too many failures: locked out for a while.
    RateLimited,
    /// The device has to be approved on the gateway first.
    PairingRequired {
        /// The pending request to approve.
        request_id: Option<Box<str>>,
    },
    /// This client needs a device identity and sent none.
    DeviceIdentityRequired {
        /// It asked as a control UI, which current releases never accept without a device.
        control_ui: bool,
    },
    /// The device block is wrong.
    DeviceSignature(DeviceFault),
    /// None of the offered protocol generations is spoken here.
    ProtocolMismatch {
        /// The generation that is.
        expected: Option<u32>,
    },
    /// The gateway takes only clients of its own build.
    ClientBuildMismatch,
    /// The `Origin` header is not on the gateway's list.
    OriginNotAllowed,
    /// The credentials do not cover the scopes that were asked for.
    ScopeMismatch {
        /// The missing one, if named.
        missing: Option<Box<str>>,
    },
    /// The `connect` request itself is not acceptable (schema, role, client id, not the first frame).
    ClientRefused,
    /// The gateway is on its way up (or down).
    Starting,
    /// Something else.
    Other,
}

/// An error answer to `connect`, classified.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the gateway refused the connection: {error}")]
pub struct ConnectRefusal {
    kind: RefusalKind,
    error: GatewayError,
}

impl From<GatewayError> for ConnectRefusal {
    fn from(error: GatewayError) -> Self {
        Self::new(error)
    }
}

impl From<&GatewayError> for ConnectRefusal {
    fn from(error: &GatewayError) -> Self {
        Self::new(error.clone())
    }
}

impl ConnectRefusal {
    /// Classifies an error answer to `connect`.
    pub fn new(error: GatewayError) -> Self {
        Self {
            kind: RefusalKind::of(&error),
            error,
        }
    }

    /// Why.
    pub fn kind(&self) -> &RefusalKind {
        &self.kind
    }

    /// The answer itself.
    pub fn error(&self) -> &GatewayError {
        &self.error
    }

    /// When to try again.
    pub fn pause(&self) -> Pause {
        let retry_after = self.error.retry_after;
        match self.kind {
            RefusalKind::Starting => Pause::starting(retry_after),
            RefusalKind::RateLimited => Pause::locked_out(retry_after),
            RefusalKind::PairingRequired { .. } if says_wait(&self.error) => Pause::asked(retry_after),
            RefusalKind::PairingRequired { .. } => Pause::PAIRING,
            RefusalKind::Other => pause_of_unknown(&self.error, retry_after),
            _ => Pause::PERSON,
        }
    }
}

/// The gateway itself says that this pairing comes through without a person.
fn says_wait(error: &GatewayError) -> bool {
    error.detail("pauseReconnect").and_then(Value::as_bool) == Some(false)
        || error.detail_str("recommendedNextStep") == Some("wait_then_retry")
}

/// A refusal that this build does not know is retried, unless the gateway says that this is of no use.
fn pause_of_unknown(error: &GatewayError, retry_after: Option<Duration>) -> Pause {
    if error.retryable == Some(false) || error.class() == ErrorClass::NeedsPerson {
        Pause::PERSON
    } else {
        Pause::asked(retry_after)
    }
}

impl RefusalKind {
    /// Classifies an error answer to `connect`.
    pub fn of(error: &GatewayError) -> Self {
        match error.detail_code() {
            Some(detail) => of_detail(&detail, error),
            None => of_code(error),
        }
    }
}

fn of_detail(detail: &DetailCode, error: &GatewayError) -> RefusalKind {
    match detail {
        DetailCode::AuthTokenMissing => RefusalKind::TokenMissing,
        DetailCode::AuthTokenMismatch => RefusalKind::TokenMismatch {
            may_use_device_token: error.detail("canRetryWithDeviceToken").and_then(Value::as_bool) == Some(true),
        },
        DetailCode::AuthDeviceTokenMismatch => RefusalKind::DeviceTokenMismatch,
        DetailCode::AuthBootstrapTokenInvalid => RefusalKind::BootstrapTokenInvalid,
        DetailCode::AuthPasswordMissing => RefusalKind::PasswordMissing,
        DetailCode::AuthPasswordMismatch => RefusalKind::PasswordMismatch,
        DetailCode::AuthRateLimited => RefusalKind::RateLimited,
        DetailCode::AuthIdentityHeaderRequired | DetailCode::AuthVerifiedUserRequired => {
            RefusalKind::ProxyIdentityRequired
        }
        DetailCode::AuthScopeMismatch | DetailCode::MissingScope => scope_mismatch(error),
        DetailCode::PairingRequired | DetailCode::NotPaired => RefusalKind::PairingRequired {
            request_id: error.pairing_request_id().map(Into::into),
        },
        DetailCode::DeviceIdentityRequired => RefusalKind::DeviceIdentityRequired { control_ui: false },
        DetailCode::ControlUiDeviceIdentityRequired => RefusalKind::DeviceIdentityRequired { control_ui: true },
        DetailCode::ControlUiOriginNotAllowed => RefusalKind::OriginNotAllowed,
        DetailCode::ControlUiBuildMismatch | DetailCode::ClientVersionMismatch => RefusalKind::ClientBuildMismatch,
        DetailCode::ProtocolMismatch if is_build_mismatch(error) => RefusalKind::ClientBuildMismatch,
        DetailCode::ProtocolMismatch => protocol_mismatch(error),
        DetailCode::StartupSidecars | DetailCode::GatewayRestarting => RefusalKind::Starting,
        device if device.is_device_auth() => RefusalKind::DeviceSignature(device_fault(device)),
        auth if auth.is_auth() => RefusalKind::Unauthorized,
        _ => RefusalKind::Other,
    }
}

/// No code in the details: the error's own code, and the text of old releases.
fn of_code(error: &GatewayError) -> RefusalKind {
    if error.is_protocol_mismatch() {
        return protocol_mismatch(error);
    }
    if error.is_device_signature_invalid() {
        return RefusalKind::DeviceSignature(DeviceFault::SignatureInvalid);
    }
    if error.missing_scope().is_some() {
        return scope_mismatch(error);
    }
    match error.code {
        ErrorCode::NotPaired => RefusalKind::PairingRequired {
            request_id: error.pairing_request_id().map(Into::into),
        },
        ErrorCode::Forbidden => scope_mismatch(error),
        ErrorCode::InvalidRequest if error.retryable != Some(true) => RefusalKind::ClientRefused,
        _ => RefusalKind::Other,
    }
}

/// 2026.9.6 answers a control UI of another build with `PROTOCOL_MISMATCH` and these members.
fn is_build_mismatch(error: &GatewayError) -> bool {
    error.detail("reloadRequired").is_some() || error.detail("gatewayBuildId").is_some()
}

fn protocol_mismatch(error: &GatewayError) -> RefusalKind {
    RefusalKind::ProtocolMismatch {
        expected: error.expected_protocol(),
    }
}

fn scope_mismatch(error: &GatewayError) -> RefusalKind {
    RefusalKind::ScopeMismatch {
        missing: error.missing_scope().map(Into::into),
    }
}

fn device_fault(detail: &DetailCode) -> DeviceFault {
    match detail {
        DetailCode::DeviceNonceMismatch => DeviceFault::NonceMismatch,
        DetailCode::DeviceNonceRequired => DeviceFault::NonceRequired,
        DetailCode::DeviceSignatureInvalid => DeviceFault::SignatureInvalid,
        DetailCode::DeviceSignatureExpired => DeviceFault::SignatureExpired,
        DetailCode::DeviceIdMismatch => DeviceFault::IdMismatch,
        DetailCode::DevicePublicKeyInvalid => DeviceFault::PublicKeyInvalid,
        _ => DeviceFault::Other,
    }
}

/// Longest body looked into, in bytes: a gateway's own refusals are under 1 KiB, a proxy's error page may be anything.
pub const BODY_LIMIT: usize = 16 * 1024;

/// The meaning of an HTTP answer other than 101.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpgradeKind {
    /// 503: the gateway is going down or coming up (both generations, seen around every restart).
    Unavailable,
    /// 403 with `error.type` `proxy_attribution_required`: a forwarding header from a proxy that the gateway does not trust
    /// (2026.9.6).
    ProxyNotTrusted,
    /// 401 or 407.
    Unauthorized,
    /// Another 403.
    Forbidden,
    /// 404 or 410: no gateway at this path.
    NotFound,
    /// 3xx: the URL points elsewhere; redirects are not followed, because the credentials would go along.
    Redirect,
    /// 429.
    TooManyRequests,
    /// Another 5xx (502 and 504: a proxy that cannot reach the gateway).
    ServerError,
    /// A 2xx or another 4xx: something answers here that is not a gateway.
    NotAGateway,
}

/// An HTTP refusal of the upgrade.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the WebSocket upgrade was refused with HTTP status {status}")]
pub struct UpgradeRefusal {
    /// The HTTP status.
    pub status: u16,
    /// Its meaning.
    pub kind: UpgradeKind,
    /// The `Retry-After` header, if it gave seconds.
    pub retry_after: Option<Duration>,
}

impl UpgradeRefusal {
    /// Classifies an answer by its status and, for 403, by the first [`BODY_LIMIT`] bytes of its body.
    pub fn new(status: u16, body: &[u8]) -> Self {
        let kind = match status {
            300..=399 => UpgradeKind::Redirect,
            401 | 407 => UpgradeKind::Unauthorized,
            403 if is_untrusted_proxy(body) => UpgradeKind::ProxyNotTrusted,
            403 => UpgradeKind::Forbidden,
            404 | 410 => UpgradeKind::NotFound,
            429 => UpgradeKind::TooManyRequests,
            503 => UpgradeKind::Unavailable,
            500..=599 => UpgradeKind::ServerError,
            _ => UpgradeKind::NotAGateway,
        };
        Self {
            status,
            kind,
            retry_after: None,
        }
    }

    /// Adds the `Retry-After` header's text; anything but whole seconds is ignored.
    pub fn with_retry_after(mut self, header: Option<&str>) -> Self {
        self.retry_after = header
            .and_then(|text| text.trim().parse().ok())
            .map(Duration::from_secs);
        self
    }

    /// Whether waiting helps.
    pub fn class(&self) -> ErrorClass {
        match self.kind {
            UpgradeKind::Unavailable | UpgradeKind::TooManyRequests | UpgradeKind::ServerError => ErrorClass::Transient,
            _ => ErrorClass::NeedsPerson,
        }
    }

    /// When to try again.
    pub fn pause(&self) -> Pause {
        match self.kind {
            UpgradeKind::Unauthorized => Pause::PERSON,
            _ if self.class() == ErrorClass::Transient => Pause::asked(self.retry_after),
            _ => Pause::WRONG_PLACE,
        }
    }
}

fn is_untrusted_proxy(body: &[u8]) -> bool {
    let body = body.get(..BODY_LIMIT).unwrap_or(body);
    std::str::from_utf8(body)
        .ok()
        .and_then(|body| crate::json::decode::<Value>(body).ok())
        .is_some_and(|body| body.pointer("/error/type").and_then(Value::as_str) == Some("proxy_attribution_required"))
}

#[cfg(test)]
mod upgrade_tests {
    use super::*;

    #[test]
    fn every_status_has_its_kind_and_only_passing_troubles_are_retried() {
        use UpgradeKind as Kind;
        let rows = [
            (200, Kind::NotAGateway, false),
            (301, Kind::Redirect, false),
            (308, Kind::Redirect, false),
            (400, Kind::NotAGateway, false),
            (401, Kind::Unauthorized, false),
            (403, Kind::Forbidden, false),
            (404, Kind::NotFound, false),
            (407, Kind::Unauthorized, false),
            (410, Kind::NotFound, false),
            (426, Kind::NotAGateway, false),
            (429, Kind::TooManyRequests, true),
            (500, Kind::ServerError, true),
            (502, Kind::ServerError, true),
            (503, Kind::Unavailable, true),
            (504, Kind::ServerError, true),
            (999, Kind::NotAGateway, false),
        ];
        for (status, kind, retried) in rows {
            let refusal = UpgradeRefusal::new(status, b"");
            assert_eq!(refusal.kind, kind, "{status}");
            let pause = match kind {
                Kind::Unauthorized => Pause::PERSON,
                _ if retried => Pause::BACKOFF,
                _ => Pause::WRONG_PLACE,
            };
            assert_eq!(refusal.pause(), pause, "{status}");
            assert_eq!(refusal.class() == ErrorClass::Transient, retried, "{status}");
        }
    }

    #[test]
    fn an_untrusted_proxy_is_told_from_any_other_403() {
        let body = br#"{"error":{"type":"proxy_attribution_required","message":"m"}}"#;
        assert_eq!(UpgradeRefusal::new(403, body).kind, UpgradeKind::ProxyNotTrusted);
        let mut long = body.to_vec();
        long.resize(BODY_LIMIT + 1, b' ');
        assert_eq!(UpgradeRefusal::new(403, &long).kind, UpgradeKind::ProxyNotTrusted);
        for other in ["", "<html>", r#"{"error":"proxy_attribution_required"}"#, "[]"] {
            assert_eq!(
                UpgradeRefusal::new(403, other.as_bytes()).kind,
                UpgradeKind::Forbidden,
                "{other}"
            );
        }
    }

    #[test]
    fn a_retry_after_header_in_seconds_is_honoured_within_bounds() {
        let pause = |header| UpgradeRefusal::new(503, b"").with_retry_after(header).pause();
        assert_eq!(
            pause(Some(" 7 ")),
            Pause::Retry {
                after: Some(Duration::from_secs(7))
            }
        );
        assert_eq!(
            pause(Some("99999999")),
            Pause::Retry {
                after: Some(crate::time::PAUSE_MAX)
            }
        );
        assert_eq!(pause(Some("Wed, 21 Oct 2026 07:28:00 GMT")), Pause::BACKOFF);
        assert_eq!(pause(None), Pause::BACKOFF);
    }
}
