//! Events: their names, their typed payloads, and the keys that route them.
//!
//! A subscriber gets every event, known or not, with its payload as it came. The types here are for readers that want more than
//! JSON. They keep unknown members (see [`Extra`](crate::Extra)), so a payload can be passed on after a look.

mod agent;
mod chat;
mod keys;
mod lifecycle;
mod name;
mod pairing;
mod sessions;
#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::agent::{AgentEvent, AgentPhase, AgentStream, SessionToolEvent};
pub use self::chat::{ChatEvent, ChatState, message_text};
pub use self::keys::EventKeys;
pub use self::lifecycle::{
    ConfigChangedEvent, CronEvent, HealthEvent, HeartbeatEvent, PresenceEntry, PresenceEvent, ShutdownEvent,
    SkillsChangedEvent, StateVersion, TaskEvent, TickEvent, UpdateAvailableEvent,
};
pub use self::name::EventName;
pub use self::pairing::{PairDecision, PairRequestedEvent, PairResolvedEvent};
pub use self::sessions::{ChatMetadataChangedEvent, SessionMessageEvent, SessionsChangedEvent};
use crate::connect::Challenge;

/// A typed event payload.
pub trait EventPayload: DeserializeOwned {
    /// The event's name on the wire.
    const NAME: &'static str;
    /// The members that have a typed field.
    const KEYS: &'static [&'static str];

    /// Reads a payload.
    fn decode(payload: &str) -> Result<Self, EventError> {
        crate::json::decode(payload).map_err(|source| EventError {
            event: Self::NAME,
            source,
        })
    }
}

/// A payload that lacks a required member of its event. The payload itself is not repeated.
#[derive(Debug, thiserror::Error)]
#[error("the payload of {event} cannot be read")]
pub struct EventError {
    /// The event's name.
    pub event: &'static str,
    #[source]
    source: serde_json::Error,
}

macro_rules! typed_events {
    ($($variant:ident($payload:ident) = $name:literal,)+) => {
        $(impl EventPayload for $payload {
            const NAME: &'static str = $name;
            const KEYS: &'static [&'static str] = $payload::KEYS;
        })+

        /// An event with its typed payload.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum TypedEvent {
            $(#[doc = concat!("`", $name, "`.")] $variant(Box<$payload>),)+
            /// An event without a type here.
            Other,
        }

        impl TypedEvent {
            /// The names that have a type here.
            pub const NAMES: &'static [&'static str] = &[$($name,)+];

            /// Reads the payload of the event `name`; [`TypedEvent::Other`] for a name without a type.
            pub fn decode(name: &str, payload: &str) -> Result<Self, EventError> {
                match name {
                    $($name => $payload::decode(payload).map(|p| Self::$variant(Box::new(p))),)+
                    _ => Ok(Self::Other),
                }
            }

            /// The payload as JSON again, with nothing lost; `None` for [`TypedEvent::Other`].
            pub fn to_value(&self) -> Option<Result<Value, serde_json::Error>> {
                match self {
                    $(Self::$variant(payload) => Some(serde_json::to_value(payload)),)+
                    Self::Other => None,
                }
            }

            /// Members that should have a typed field but came with another type, and so stand in `extra`.
            pub fn misfits(&self) -> Vec<&'static str> {
                match self {
                    $(Self::$variant(payload) => {
                        $payload::KEYS.iter().copied().filter(|key| payload.extra.contains_key(*key)).collect()
                    })+
                    Self::Other => Vec::new(),
                }
            }
        }
    };
}

typed_events! {
    Challenge(Challenge) = "connect.challenge",
    Tick(TickEvent) = "tick",
    Shutdown(ShutdownEvent) = "shutdown",
    Health(HealthEvent) = "health",
    Presence(PresenceEvent) = "presence",
    Chat(ChatEvent) = "chat",
    ChatMetadataChanged(ChatMetadataChangedEvent) = "chat.metadata.changed",
    Agent(AgentEvent) = "agent",
    SessionTool(SessionToolEvent) = "session.tool",
    SessionMessage(SessionMessageEvent) = "session.message",
    SessionsChanged(SessionsChangedEvent) = "sessions.changed",
    ConfigChanged(ConfigChangedEvent) = "config.changed",
    Cron(CronEvent) = "cron",
    Task(TaskEvent) = "task",
    SkillsChanged(SkillsChangedEvent) = "skills.changed",
    Heartbeat(HeartbeatEvent) = "heartbeat",
    UpdateAvailable(UpdateAvailableEvent) = "update.available",
    PairRequested(PairRequestedEvent) = "device.pair.requested",
    PairResolved(PairResolvedEvent) = "device.pair.resolved",
}
