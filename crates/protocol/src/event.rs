//! Events: their names, their typed payloads, and the keys that route them.
//!
//! A subscriber gets every event, known or not, with its payload as it came. The types here are for readers that want more than
//! JSON. They keep unknown members (see [`Extra`](crate::Extra)), so a payload can be passed on after a look.

mod chat;
mod lifecycle;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::connect::Challenge;
use crate::json::legible;
use crate::open::wire_names;
use crate::session_key::agent_id_of;

pub use chat::{
    AgentEvent, AgentPhase, AgentStream, ChatEvent, ChatMetadataChangedEvent, ChatState, SessionMessageEvent,
    SessionToolEvent, SessionsChangedEvent, message_text,
};
pub use lifecycle::{
    ConfigChangedEvent, CronEvent, HealthEvent, HeartbeatEvent, PairDecision, PairRequestedEvent, PairResolvedEvent,
    PresenceEntry, PresenceEvent, ShutdownEvent, SkillsChangedEvent, StateVersion, TaskEvent, TickEvent,
    UpdateAvailableEvent,
};

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

wire_names! {
    /// The name of an event. Generation 4 sends many that were not asked for; those without a use here are `Other`.
    pub enum EventName {
        Challenge = "connect.challenge",
        Tick = "tick",
        Shutdown = "shutdown",
        Health = "health",
        Presence = "presence",
        Chat = "chat",
        ChatMetadataChanged = "chat.metadata.changed",
        Agent = "agent",
        SessionMessage = "session.message",
        SessionTool = "session.tool",
        SessionOperation = "session.operation",
        SessionsChanged = "sessions.changed",
        ConfigChanged = "config.changed",
        Cron = "cron",
        Task = "task",
        SkillsChanged = "skills.changed",
        PluginsChanged = "plugins.changed",
        Heartbeat = "heartbeat",
        UpdateAvailable = "update.available",
        GatewaySuspension = "gateway.suspension",
        PairRequested = "device.pair.requested",
        PairResolved = "device.pair.resolved",
        NodePairRequested = "node.pair.requested",
        NodePairResolved = "node.pair.resolved",
        ExecApprovalRequested = "exec.approval.requested",
        ExecApprovalResolved = "exec.approval.resolved",
        PluginApprovalRequested = "plugin.approval.requested",
        PluginApprovalResolved = "plugin.approval.resolved",
        QuestionRequested = "question.requested",
        QuestionResolved = "question.resolved",
    }
}

/// Session, agent and run of an event, borrowed from its payload.
///
/// Reading them costs one pass over the payload and no allocation (but for a text with escapes); it never fails, a payload of any
/// other shape has no keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventKeys<'a> {
    /// `sessionKey`.
    pub session_key: Option<Cow<'a, str>>,
    /// `agentId`, else the agent in `sessionKey` (generation 3 sends only that).
    pub agent_id: Option<Cow<'a, str>>,
    /// `runId`.
    pub run_id: Option<Cow<'a, str>>,
}

impl<'a> EventKeys<'a> {
    /// Reads the keys of a payload.
    pub fn parse(payload: &'a str) -> Self {
        let mut keys: Self = serde_json::from_str(payload).unwrap_or_else(|_| Self::of_legible(payload));
        if keys.agent_id.is_none() {
            keys.agent_id = keys.session_key.as_ref().and_then(agent_of);
        }
        keys
    }

    /// Of a payload that has half a character in a member's name or in a key.
    fn of_legible(payload: &str) -> Self {
        let copy = legible(payload);
        let keys = copy.and_then(|copy| serde_json::from_str(&copy).map(EventKeys::into_owned).ok());
        keys.unwrap_or_default()
    }

    /// The same, independent of the payload.
    pub fn into_owned(self) -> EventKeys<'static> {
        let owned = |key: Option<Cow<'a, str>>| key.map(|key| Cow::Owned(key.into_owned()));
        EventKeys {
            session_key: owned(self.session_key),
            agent_id: owned(self.agent_id),
            run_id: owned(self.run_id),
        }
    }
}

fn agent_of<'a>(session_key: &Cow<'a, str>) -> Option<Cow<'a, str>> {
    match session_key {
        Cow::Borrowed(key) => agent_id_of(key).map(Cow::Borrowed),
        Cow::Owned(key) => agent_id_of(key).map(|id| Cow::Owned(id.to_owned())),
    }
}

impl<'de> Deserialize<'de> for EventKeys<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = EventKeys<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut keys = EventKeys::default();
        while let Some(Text(key)) = map.next_key()? {
            let slot = match key.as_deref() {
                Some("sessionKey") => &mut keys.session_key,
                Some("agentId") => &mut keys.agent_id,
                Some("runId") => &mut keys.run_id,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *slot = map.next_value::<Text<'de>>()?.0.filter(|text| !text.is_empty());
        }
        Ok(keys)
    }
}

/// A text, borrowed if it can be; anything else is `None`.
struct Text<'a>(Option<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
}
