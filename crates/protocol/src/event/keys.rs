//! The few members of a payload that routing looks at.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::json::legible;
use crate::session_key::agent_id_of;

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
