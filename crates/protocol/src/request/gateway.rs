//! The gateway itself.

use super::request;
use crate::HealthEvent;
use crate::open::open_object;

request! {
    /// a summary of channels, agents and sessions. Needs no scope (2026.3.13), so it shows that a line works with any
    /// rights.
    Health: Default = "health" => HealthEvent {
        optional {
            /// Asks the channels anew instead of repeating the last answer.
            probe: bool,
        }
    }
}

request! {
    /// which key the gateway has (from 2026.3 on).
    GatewayIdentityGet: Default = "gateway.identity.get" => GatewayIdentityGetReply {}
}

open_object! {
    /// The answer to `gateway.identity.get`.
    pub struct GatewayIdentityGetReply {
        required {
            /// Lower-case hex SHA-256 of the public key. Stays the same over restarts.
            device_id: String = "deviceId",
            /// The raw public key, base64url without padding.
            public_key: String = "publicKey",
        }
    }
}
