//! Devices that may connect, and those that ask to.

use super::request;
use crate::PairRequestedEvent;
use crate::connect::{ClientId, ClientMode, Role, Scope};
use crate::open::open_object;

request! {
    /// the devices that are paired, and those that wait for it. Needs the pairing scope.
    DevicePairList: Default = "device.pair.list" => DevicePairListReply {}
}

open_object! {
    /// The answer to `device.pair.list`.
    pub struct DevicePairListReply {
        required {
            /// Those that wait, as the event tells of them.
            pending: Vec<PairRequestedEvent> = "pending",
            /// Those that are paired.
            paired: Vec<PairedDevice> = "paired",
        }
    }
}

open_object! {
    /// A paired device.
    pub struct PairedDevice {
        required {
            /// Lower-case hex SHA-256 of its public key.
            device_id: String = "deviceId",
        }
        optional {
            /// Its public key, base64url without padding.
            public_key: String = "publicKey",
            /// Its operating system.
            platform: String = "platform",
            /// Its program.
            client_id: ClientId = "clientId",
            /// How that is used.
            client_mode: ClientMode = "clientMode",
            /// The role that it asked for first.
            role: Role = "role",
            /// All its roles.
            roles: Vec<Role> = "roles",
            /// The scopes that it may have.
            scopes: Vec<Scope> = "scopes",
            /// Its address.
            remote_ip: String = "remoteIp",
            /// `owner` or `silent` (generation 4).
            approved_via: String = "approvedVia",
            /// In ms since 1970.
            created_at_ms: u64 = "createdAtMs",
            /// In ms since 1970.
            approved_at_ms: u64 = "approvedAtMs",
            /// In ms since 1970 (generation 4).
            last_seen_at_ms: u64 = "lastSeenAtMs",
            /// Whether it is connected just now (generation 4).
            connected: bool = "connected",
            /// Its tokens, without the tokens themselves.
            tokens: Vec<DeviceTokenRow> = "tokens",
        }
    }
}

open_object! {
    /// The known facts of a device's token.
    pub struct DeviceTokenRow {
        optional {
            /// The role that it is good for.
            role: Role = "role",
            /// The scopes that it is good for.
            scopes: Vec<Scope> = "scopes",
            /// In ms since 1970.
            created_at_ms: u64 = "createdAtMs",
            /// When it was last replaced, in ms since 1970.
            rotated_at_ms: u64 = "rotatedAtMs",
        }
    }
}

request! {
    /// lets a waiting device in. Needs the pairing scope.
    DevicePairApprove = "device.pair.approve" => DevicePairApproveReply {
        required {
            /// Which request; see [`PairRequestedEvent::request_id`].
            request_id: String,
        }
    }
}

open_object! {
    /// The answer to `device.pair.approve`.
    pub struct DevicePairApproveReply {
        required {
            /// Which request.
            request_id: String = "requestId",
            /// The device, paired now.
            device: PairedDevice = "device",
        }
    }
}
