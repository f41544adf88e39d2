//! The gateway itself.

use super::request;
use crate::HealthEvent;
use crate::open::open_object;

request! {
    /// a summary of channels, agents and sessions. Needs no scope (2026.3.13), so it shows that a line works whatever was
    /// granted.
    Health: Default = "health" => HealthEvent {
        optional {
            /// Asks the channels anew instead of repeating what is known of them.
            probe: bool,
        }
    }
}

request! {
    /// which key the gateway has (from 2026.3 on).
    GatewayIdentityGet: Default = "gateway.identity.get" => GatewayIdentityGetReply {}
}

open_object! {
    /// What `gateway.identity.get` answers.
    pub struct GatewayIdentityGetReply {
        required {
            /// Lower-case hex SHA-256 of the public key. Stays the same over restarts.
            device_id: String = "deviceId",
            /// The raw public key, base64url without padding.
            public_key: String = "publicKey",
        }
    }
}
