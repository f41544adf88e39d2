//! Requests that know their method and the shape of its answer.
//!
//! The methods that a supervisor of gateways needs, as both protocol generations were seen to take and answer them
//! (2026.3.13 and 2026.9.6). A member that only one generation has is an `Option`. Params are closed objects: a gateway
//! refuses a member that its release does not know, so only members that were set are sent. Answers are open ones: members that a
//! newer release adds are kept in `extra`.

mod agents;
mod chat;
mod config;
mod cron;
mod devices;
mod gateway;
mod sessions;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{RawJson, with_idempotency_key};

pub use agents::{
    AgentFace, AgentFile, AgentModel, AgentRow, AgentsCreate, AgentsCreateReply, AgentsDelete, AgentsDeleteReply,
    AgentsFilesDelete, AgentsFilesGet, AgentsFilesGetReply, AgentsFilesList, AgentsFilesListReply, AgentsFilesSet,
    AgentsFilesSetReply, AgentsList, AgentsListReply, AgentsUpdate, AgentsUpdateReply,
};
pub use chat::{
    AgentWait, AgentWaitReply, AgentWaitStatus, ChatAbort, ChatAbortReply, ChatCommandReply, ChatHistory,
    ChatHistoryDelta, ChatHistoryDeltaReply, ChatHistoryReply, ChatMessage, ChatSend, ChatSendReply, ChatSendRun,
    ChatSendStatus, HISTORY_LIMIT, HistoryDeltaKind, InFlightRun, MessageMeta, TerminalReply,
};
pub use config::{ConfigGet, ConfigGetReply, ConfigPatch, ConfigPatchReply, ConfigRestart, ConfigSchemaGet};
pub use cron::{
    CronJob, CronList, CronListReply, CronScratch, CronScratchGet, CronScratchReply, CronScratchSet, SCRATCH_LIMIT,
};
pub use devices::{
    DevicePairApprove, DevicePairApproveReply, DevicePairList, DevicePairListReply, DeviceTokenRow, PairedDevice,
};
pub use gateway::{GatewayIdentityGet, GatewayIdentityGetReply, Health};
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

#[cfg(test)]
mod tests;
