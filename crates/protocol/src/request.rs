//! Requests that know their method and the shape of its answer.
//!
//! The methods that a supervisor of gateways needs, as both protocol generations were seen to take and answer them
//! (2026.3.13 and 2026.9.6). A member that only one generation has is an `Option`. Params are closed objects: a gateway
//! refuses a member that its release does not know, so only members that were set are sent. Answers are open ones: members that a
//! newer release adds are kept in `extra`.

mod agents;
mod chat;
mod sessions;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::connect::{ClientId, ClientMode, Role, Scope};
use crate::open::open_object;
use crate::{HealthEvent, PairRequestedEvent, RawJson, with_idempotency_key};

pub use agents::{
    AgentFace, AgentFile, AgentModel, AgentRow, AgentsCreate, AgentsCreateReply, AgentsDelete, AgentsDeleteReply,
    AgentsFilesDelete, AgentsFilesGet, AgentsFilesGetReply, AgentsFilesList, AgentsFilesListReply, AgentsFilesSet,
    AgentsFilesSetReply, AgentsList, AgentsListReply, AgentsUpdate, AgentsUpdateReply, CronJob, CronList,
    CronListReply, CronScratch, CronScratchGet, CronScratchReply, CronScratchSet, SCRATCH_LIMIT,
};
pub use chat::{
    AgentWait, AgentWaitReply, AgentWaitStatus, ChatAbort, ChatAbortReply, ChatCommandReply, ChatHistory,
    ChatHistoryDelta, ChatHistoryDeltaReply, ChatHistoryReply, ChatMessage, ChatSend, ChatSendReply, ChatSendRun,
    ChatSendStatus, HISTORY_LIMIT, HistoryDeltaKind, InFlightRun, MessageMeta, TerminalReply,
};
pub use sessions::{
    Change, ResolvedModel, SessionEntry, SessionRow, SessionsDelete, SessionsDeleteReply, SessionsDescribe,
    SessionsDescribeReply, SessionsList, SessionsListReply, SessionsMessagesSubscribe, SessionsMessagesSubscribeReply,
    SessionsPatch, SessionsPatchReply, SessionsReset, SessionsResetReply, SessionsSubscribe, SessionsSubscribeReply,
};

/// The params of a method, and the type of its answer.
///
/// Implement it for a method that has no type here yet:
///
/// ```
/// use windlass_protocol::request::Request;
///
/// #[derive(serde::Serialize)]
/// struct LogsTail {
///     limit: u32,
/// }
///
/// impl Request for LogsTail {
///     const METHOD: &'static str = "logs.tail";
///     type Reply = serde_json::Value;
/// }
/// ```
pub trait Request: Serialize {
    /// The method's name on the wire.
    const METHOD: &'static str;
    /// Its answer.
    type Reply: DeserializeOwned;

    /// The parameters as they go out, with this idempotency key where one is given.
    ///
    /// # Errors
    /// When the request can't be written as JSON, or has no place for the key; as text for people.
    fn params(&self, key: Option<&str>) -> Result<RawJson, String> {
        let params = RawJson::from_value(self).map_err(|error| error.to_string())?;
        match key {
            Some(key) => with_idempotency_key(&params, Some(key), String::new).map_err(|error| error.to_string()),
            None => Ok(params),
        }
    }
}

/// Declares a request: `required` params are the arguments of `new`, `optional` ones have a setter of their own name and
/// are sent only where they were set.
macro_rules! request {
    ($(#[$meta:meta])* $name:ident$(: $($derive:path),+)? = $method:literal => $reply:ty {
        $(required { $($(#[$rmeta:meta])* $rfield:ident: $rtype:ty,)* })?
        $(optional { $($(#[$ometa:meta])* $ofield:ident: $otype:ty,)* })?
    }) => {
        #[doc = concat!("`", $method, "`:")]
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize$($(, $derive)+)?)]
        #[serde(rename_all = "camelCase")]
        #[non_exhaustive]
        pub struct $name {
            $($($(#[$rmeta])* pub $rfield: $rtype,)*)?
            $($($(#[$ometa])*
            #[serde(skip_serializing_if = "Option::is_none")]
            pub $ofield: Option<$otype>,)*)?
        }

        impl $name {
            /// With its required members, and nothing else.
            pub fn new($($($rfield: impl Into<$rtype>),*)?) -> Self {
                Self {
                    $($($rfield: $rfield.into(),)*)?
                    $($($ofield: None,)*)?
                }
            }

            $($($(#[$ometa])*
            pub fn $ofield(mut self, $ofield: impl Into<$otype>) -> Self {
                self.$ofield = Some($ofield.into());
                self
            })*)?
        }

        impl $crate::request::Request for $name {
            const METHOD: &'static str = $method;
            type Reply = $reply;
        }
    };
}

use request;

request! {
    /// the configuration, secrets replaced by `__OPENCLAW_REDACTED__`; sent back like that, they stay as they are.
    ConfigGet: Default = "config.get" => ConfigGetReply {}
}

open_object! {
    /// The answer to `config.get`.
    pub struct ConfigGetReply {
        optional {
            /// The base that a write has to name. Absent where there is no file yet.
            hash: String = "hash",
            /// Where it lies on the gateway's host.
            path: String = "path",
            /// Whether there is a file.
            exists: bool = "exists",
            /// Whether it can be used as it stands.
            valid: bool = "valid",
            /// As it stands in the file.
            parsed: Value = "parsed",
            /// With the parts that it includes from other files, and without the gateway's defaults.
            resolved: Value = "resolved",
            /// With the gateway's defaults.
            config: Value = "config",
        }
    }
}

request! {
    /// changes the configuration by a merge patch: objects are merged, `null` removes, arrays of objects with an `id` are
    /// merged by it (replaced on 2026.1.30).
    ///
    /// Restarts the gateway up to 2026.3, and later where a changed part of it needs that. Limited to 3 in 60 s up to 2026.7
    /// and to 30 since (2026.1.30: not at all); refused ones count. A patch that changes nothing counts too, and restarts.
    ConfigPatch = "config.patch" => ConfigPatchReply {
        required {
            /// The patch, an object as JSON text.
            raw: String,
            /// The `hash` of the configuration that it was made for; another one is refused.
            base_hash: String,
        }
        optional {
            /// Its purpose, kept by the gateway for people.
            note: String,
            /// How long a restart waits, in ms; 2000 unless given.
            restart_delay_ms: u64,
        }
    }
}

open_object! {
    /// The answer to `config.patch`.
    pub struct ConfigPatchReply {
        optional {
            /// Always true so far.
            ok: bool = "ok",
            /// Where the configuration lies on the gateway's host.
            path: String = "path",
            /// The restart that follows, where one does (up to 2026.3).
            restart: ConfigRestart = "restart",
            /// The new base for the next write (from 2026.8 on).
            hash: String = "hash",
            /// Dotted paths of the changed members (2026.9.6).
            changed_paths: Vec<String> = "changedPaths",
            /// Whether nothing changed (from 2026.8 on).
            noop: bool = "noop",
            /// The gateway's record of the write.
            sentinel: Value = "sentinel",
        }
    }
}

open_object! {
    /// A restart that follows a write.
    pub struct ConfigRestart {
        optional {
            /// When, in ms from now.
            delay_ms: u64 = "delayMs",
            /// Whether it was arranged.
            ok: bool = "ok",
            /// Whether another restart that was due already does for this one.
            coalesced: bool = "coalesced",
        }
    }
}

impl ConfigPatchReply {
    /// Whether the gateway restarts because of it: by `restart` up to 2026.3, by the record's `requiresRestart` from 2026.6 on.
    pub fn restarts(&self) -> bool {
        let required = "/payload/stats/requiresRestart";
        let by_record = self.sentinel.as_ref().and_then(|sentinel| sentinel.pointer(required));
        self.restart.is_some() || by_record.and_then(Value::as_bool) == Some(true)
    }
}

request! {
    /// the JSON schema of the configuration (draft 7), plugins included: 0.4 MB on 2026.3.13, 2.1 MB on 2026.9.6.
    ConfigSchemaGet: Default = "config.schema" => Value {}
}

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

#[cfg(test)]
mod tests;
