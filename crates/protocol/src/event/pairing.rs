//! Events about devices, to operators with the pairing scope.

use crate::connect::{ClientId, ClientMode, Role, Scope};
use crate::names::wire_names;
use crate::open::open_object;

open_object! {
    /// `device.pair.requested`: a device asks to be approved.
    pub struct PairRequestedEvent {
        required {
            /// The request to approve.
            request_id: String = "requestId",
            /// The device.
            device_id: String = "deviceId",
        }
        optional {
            /// Its public key.
            public_key: String = "publicKey",
            /// Its operating system.
            platform: String = "platform",
            /// Its program.
            client_id: ClientId = "clientId",
            /// How that is used.
            client_mode: ClientMode = "clientMode",
            /// The role it asks for.
            role: Role = "role",
            /// All roles it asks for.
            roles: Vec<Role> = "roles",
            /// The scopes it asks for.
            scopes: Vec<Scope> = "scopes",
            /// Its address.
            remote_ip: String = "remoteIp",
            /// Approved without anyone being asked.
            silent: bool = "silent",
            /// It was paired before.
            is_repair: bool = "isRepair",
            /// In ms since 1970.
            ts: u64 = "ts",
        }
    }
}

wire_names! {
    /// How a pairing request ended.
    pub enum PairDecision {
        Approved = "approved",
        Rejected = "rejected",
    }
}

open_object! {
    /// `device.pair.resolved`.
    pub struct PairResolvedEvent {
        required {
            /// Which request.
            request_id: String = "requestId",
            /// How it ended.
            decision: PairDecision = "decision",
        }
        optional {
            /// The device.
            device_id: String = "deviceId",
            /// In ms since 1970.
            ts: u64 = "ts",
        }
    }
}
