//! Why a gateway refused `connect`, and when to try again.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::error::{DetailCode, ErrorClass, ErrorCode, GatewayError};
use crate::pause::Pause;

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
    error.detail("pauseReconnect").and_then(serde_json::Value::as_bool) == Some(false)
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
            may_use_device_token: error
                .detail("canRetryWithDeviceToken")
                .and_then(serde_json::Value::as_bool)
                == Some(true),
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
