//! The codes inside a gateway's error answer.

use crate::names::wire_names;

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
