//! The error inside a refused answer: its codes, and its meaning for the caller.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::open::wire_names;
use crate::releases::messages;
use crate::text::{MESSAGE_LIMIT, printable};

/// Longest message kept, in bytes. A gateway puts the offending input into some messages: the error to a 25 MiB request was
/// 26 MB (seen on 2026.9.6), and errors are cloned, stored and logged.
pub const KEPT_MESSAGE_BYTES: usize = 64 * 1024;

/// `{code, message, details?, retryable?, retryAfterMs?}` of a response with `ok: false`.
///
/// Decoding is tolerant, because a refusal of any shape must reach its caller: only a value that is not an object
/// fails, a missing code becomes an empty [`ErrorCode::Other`], an odd `retryAfterMs` is dropped.
///
/// `Display` shows code and message without control characters and at most [`MESSAGE_LIMIT`] characters of the message.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {}", printable(message, MESSAGE_LIMIT))]
pub struct GatewayError {
    /// The general code.
    pub code: ErrorCode,
    /// The gateway's text, at most [`KEPT_MESSAGE_BYTES`] of it. Not to be decided by.
    pub message: String,
    /// Additions of the gateway; boxed because most errors have none.
    pub details: Option<Box<Value>>,
    /// Whether the gateway says that the same request may succeed later.
    pub retryable: Option<bool>,
    /// How long the gateway asks to wait, as it stands on the wire (unbounded: clamp it before use).
    pub retry_after: Option<Duration>,
}

/// The reaction that a [`GatewayError`] asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The same request may succeed later, by itself.
    Transient,
    /// Nothing changes until someone changes credentials, scopes, pairing or a version.
    NeedsPerson,
    /// The gateway will answer the same request the same way.
    Rejected,
}

impl GatewayError {
    /// An error with a code and a text only.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: None,
            retryable: None,
            retry_after: None,
        }
    }

    /// `details.code`, else `details.reason`.
    pub fn detail_code(&self) -> Option<DetailCode> {
        self.detail_str("code")
            .or_else(|| self.detail_str("reason"))
            .map(DetailCode::from)
    }

    /// A text member of `details`.
    pub fn detail_str(&self, key: &str) -> Option<&str> {
        self.detail(key)?.as_str()
    }

    /// A member of `details`.
    pub fn detail(&self, key: &str) -> Option<&Value> {
        self.details.as_ref()?.get(key)
    }

    /// Whether waiting helps, a person is needed, or neither.
    ///
    /// A bare `UNAVAILABLE` is `Rejected`: without `retryable: true` it has been seen for requests that can never succeed
    /// (editing a system-owned cron job, 2026.9.6) and for finished runs that failed.
    pub fn class(&self) -> ErrorClass {
        if let Some(class) = self.detail_code().and_then(|detail| class_of_detail(&detail)) {
            return class;
        }
        if self.is_protocol_mismatch() || self.is_device_signature_invalid() || self.missing_scope().is_some() {
            return ErrorClass::NeedsPerson;
        }
        match self.code {
            ErrorCode::NotPaired | ErrorCode::Forbidden => ErrorClass::NeedsPerson,
            _ if self.retryable == Some(true) => ErrorClass::Transient,
            _ => ErrorClass::Rejected,
        }
    }

    /// The scope that was missing (`details.missingScope`; up to 2026.4 it stands only in the message).
    pub fn missing_scope(&self) -> Option<&str> {
        self.detail_str("missingScope")
            .or_else(|| self.if_uncoded(messages::missing_scope))
    }

    /// The id of the pending pairing request (`details.requestId`); the same one while the request is pending.
    pub fn pairing_request_id(&self) -> Option<&str> {
        self.detail_str("requestId")
    }

    /// The protocol generation that the gateway speaks (`details.expectedProtocol`).
    pub fn expected_protocol(&self) -> Option<u32> {
        self.detail("expectedProtocol")?.as_u64()?.try_into().ok()
    }

    /// Whether the gateway does not speak any of the offered generations. 2026.3.13 to 2026.5 send `expectedProtocol` without
    /// a code, so that member counts as well.
    pub fn is_protocol_mismatch(&self) -> bool {
        self.detail_code() == Some(DetailCode::ProtocolMismatch)
            || (self.detail_str("code").is_none() && self.expected_protocol().is_some())
            || self
                .if_uncoded(|m| messages::is_protocol_mismatch(m).then_some(()))
                .is_some()
    }

    /// Whether the device signature was refused as wrong. On 2026.1.30 this is also the answer to a v3 payload, and v2 works.
    pub fn is_device_signature_invalid(&self) -> bool {
        self.detail_code() == Some(DetailCode::DeviceSignatureInvalid)
            || self
                .if_uncoded(|m| messages::is_device_signature_invalid(m).then_some(()))
                .is_some()
    }

    fn if_uncoded<'a, T>(&'a self, read: impl FnOnce(&'a str) -> Option<T>) -> Option<T> {
        if self.detail_code().is_some() {
            None
        } else {
            read(&self.message)
        }
    }
}

/// The class of a detail code by itself; `None` leaves it to `code` and `retryable`.
fn class_of_detail(detail: &DetailCode) -> Option<ErrorClass> {
    match detail {
        DetailCode::AuthRateLimited
        | DetailCode::StartupSidecars
        | DetailCode::GatewayRestarting
        | DetailCode::WebsocketUpgradeRejected => Some(ErrorClass::Transient),
        DetailCode::PairingRequired
        | DetailCode::NotPaired
        | DetailCode::DeviceIdentityRequired
        | DetailCode::ControlUiDeviceIdentityRequired
        | DetailCode::ControlUiOriginNotAllowed
        | DetailCode::ControlUiBuildMismatch
        | DetailCode::ClientVersionMismatch
        | DetailCode::ProtocolMismatch
        | DetailCode::MissingScope => Some(ErrorClass::NeedsPerson),
        DetailCode::UnknownAgent
        | DetailCode::CronJobNotFound
        | DetailCode::SessionMutationTargetRequired
        | DetailCode::ChatRequestConflict => Some(ErrorClass::Rejected),
        other if other.is_auth() || other.is_device_auth() => Some(ErrorClass::NeedsPerson),
        _ => None,
    }
}

impl<'de> Deserialize<'de> for GatewayError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = Map::deserialize(deserializer)?;
        let code = map.get("code").and_then(Value::as_str).unwrap_or_default().into();
        let message = match map.remove("message") {
            Some(Value::String(text)) => cut(text),
            _ => String::new(),
        };
        let retry_after = map.get("retryAfterMs").and_then(millis);
        Ok(Self {
            code,
            message,
            retryable: map.get("retryable").and_then(Value::as_bool),
            retry_after,
            details: map.remove("details").map(Box::new),
        })
    }
}

impl Serialize for GatewayError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("code", &self.code)?;
        map.serialize_entry("message", &self.message)?;
        if let Some(details) = &self.details {
            map.serialize_entry("details", details)?;
        }
        if let Some(retryable) = self.retryable {
            map.serialize_entry("retryable", &retryable)?;
        }
        if let Some(after) = self.retry_after {
            map.serialize_entry("retryAfterMs", &u64::try_from(after.as_millis()).unwrap_or(u64::MAX))?;
        }
        map.end()
    }
}

fn cut(mut text: String) -> String {
    if text.len() > KEPT_MESSAGE_BYTES {
        let end = (0..=KEPT_MESSAGE_BYTES).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
        text.shrink_to_fit();
    }
    text
}

/// Milliseconds as gateways send them: whole, or with a fraction (JavaScript has one kind of number).
fn millis(value: &Value) -> Option<Duration> {
    if let Some(whole) = value.as_u64() {
        return Some(Duration::from_millis(whole));
    }
    Duration::try_from_secs_f64(value.as_f64()? / 1000.0).ok()
}

wire_names! {
    /// `error.code`: the four that nine releases of 2026 were seen to use. Most refusals are plain `INVALID_REQUEST`; look at
    /// [`DetailCode`] next.
    pub enum ErrorCode {
        InvalidRequest = "INVALID_REQUEST",
        NotPaired = "NOT_PAIRED",
        Unavailable = "UNAVAILABLE",
        /// Missing scopes, from the generation-4 releases on; older ones answer `INVALID_REQUEST`.
        Forbidden = "FORBIDDEN",
    }
}

wire_names! {
    /// `error.details.code`, or `error.details.reason` where there is no code.
    pub enum DetailCode {
        AuthTokenMissing = "AUTH_TOKEN_MISSING",
        AuthTokenMismatch = "AUTH_TOKEN_MISMATCH",
        AuthDeviceTokenMismatch = "AUTH_DEVICE_TOKEN_MISMATCH",
        AuthBootstrapTokenInvalid = "AUTH_BOOTSTRAP_TOKEN_INVALID",
        AuthPasswordMissing = "AUTH_PASSWORD_MISSING",
        AuthPasswordMismatch = "AUTH_PASSWORD_MISMATCH",
        AuthRateLimited = "AUTH_RATE_LIMITED",
        AuthScopeMismatch = "AUTH_SCOPE_MISMATCH",
        AuthIdentityHeaderRequired = "AUTH_IDENTITY_HEADER_REQUIRED",
        AuthVerifiedUserRequired = "AUTH_VERIFIED_USER_REQUIRED",
        PairingRequired = "PAIRING_REQUIRED",
        DeviceIdentityRequired = "DEVICE_IDENTITY_REQUIRED",
        ControlUiDeviceIdentityRequired = "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
        ControlUiOriginNotAllowed = "CONTROL_UI_ORIGIN_NOT_ALLOWED",
        ControlUiBuildMismatch = "CONTROL_UI_BUILD_MISMATCH",
        ClientVersionMismatch = "CLIENT_VERSION_MISMATCH",
        ProtocolMismatch = "PROTOCOL_MISMATCH",
        DeviceNonceMismatch = "DEVICE_AUTH_NONCE_MISMATCH",
        DeviceNonceRequired = "DEVICE_AUTH_NONCE_REQUIRED",
        DeviceSignatureInvalid = "DEVICE_AUTH_SIGNATURE_INVALID",
        /// `signedAt` is more than 120 s away from the gateway's clock.
        DeviceSignatureExpired = "DEVICE_AUTH_SIGNATURE_EXPIRED",
        DeviceIdMismatch = "DEVICE_AUTH_DEVICE_ID_MISMATCH",
        DevicePublicKeyInvalid = "DEVICE_AUTH_PUBLIC_KEY_INVALID",
        MissingScope = "MISSING_SCOPE",
        UnknownAgent = "UNKNOWN_AGENT_ID",
        CronJobNotFound = "CRON_JOB_NOT_FOUND",
        SessionMutationTargetRequired = "SESSION_MUTATION_TARGET_REQUIRED",
        /// The gateway answers the socket but its parts still start.
        StartupSidecars = "startup-sidecars",
        /// The gateway drains before a restart and takes no new work.
        GatewayRestarting = "gateway-restarting",
        /// The HTTP upgrade was refused (made up by clients, not sent by gateways).
        WebsocketUpgradeRejected = "websocket-upgrade-rejected",
        /// The idempotency key was used before, with other input.
        ChatRequestConflict = "chat-request-conflict",
        /// `PAIRING_REQUIRED`'s reason; stands alone only where the code is missing.
        NotPaired = "not-paired",
    }
}

impl DetailCode {
    /// A fault of the credentials in `connect.auth`, known or not: all these codes start alike.
    pub fn is_auth(&self) -> bool {
        self.as_str().starts_with("AUTH_")
    }

    /// A fault of the device block in `connect.device`, known or not: all these codes start alike.
    pub fn is_device_auth(&self) -> bool {
        self.as_str().starts_with("DEVICE_AUTH_")
    }
}
