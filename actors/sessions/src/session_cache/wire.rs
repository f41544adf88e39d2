//! Of events, what a cache looks at: not their texts, of which a run sends hundreds.

use std::borrow::Cow;

use serde::Deserialize;
use windlass_protocol::session_roster::SessionRoster;
use windlass_protocol::{AgentPhase, ChatState, SessionsChangedEvent, json};

use windlass_line::routing::Event;

/// The names of the events that a cache is fed with.
pub(super) const NAMES: [&str; 3] = ["sessions.changed", "chat", "agent"];

/// What an event means for a cache.
#[derive(Debug)]
pub(super) enum News<'a> {
    Changed(Box<SessionsChangedEvent>),
    Chat(ChatHead<'a>),
    Lifecycle(AgentHead<'a>, AgentPhase),
    Nothing,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChatHead<'a> {
    #[serde(borrow)]
    session_key: Cow<'a, str>,
    #[serde(borrow)]
    run_id: Cow<'a, str>,
    state: ChatState,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AgentHead<'a> {
    #[serde(borrow)]
    session_key: Cow<'a, str>,
    #[serde(borrow)]
    run_id: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(default)]
    data: Option<Phase>,
}

#[derive(Debug, Deserialize)]
struct Phase {
    #[serde(default)]
    phase: Option<AgentPhase>,
}

impl<'a> ChatHead<'a> {
    fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok().or_else(|| {
            let copy = json::legible(text)?;
            serde_json::from_str(&copy).ok().map(ChatHead::into_owned)
        })
    }

    fn into_owned(self) -> ChatHead<'static> {
        ChatHead {
            session_key: Cow::Owned(self.session_key.into_owned()),
            run_id: Cow::Owned(self.run_id.into_owned()),
            state: self.state,
        }
    }
}

impl<'a> AgentHead<'a> {
    fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok().or_else(|| {
            let copy = json::legible(text)?;
            serde_json::from_str(&copy).ok().map(AgentHead::into_owned)
        })
    }

    fn into_owned(self) -> AgentHead<'static> {
        AgentHead {
            session_key: Cow::Owned(self.session_key.into_owned()),
            run_id: Cow::Owned(self.run_id.into_owned()),
            stream: Cow::Owned(self.stream.into_owned()),
            data: self.data,
        }
    }
}

impl<'a> News<'a> {
    /// Reads an event. A payload of another shape has no news.
    pub(super) fn read(event: &'a Event) -> Self {
        let text = event.payload.as_str();
        match &*event.name {
            "sessions.changed" => json::decode(text).map_or(Self::Nothing, Self::Changed),
            "chat" => ChatHead::read(text).map_or(Self::Nothing, Self::Chat),
            // Most are increments of a text.
            "agent" if text.contains("lifecycle") => Self::lifecycle(text),
            _ => Self::Nothing,
        }
    }

    fn lifecycle(text: &'a str) -> Self {
        match AgentHead::read(text).filter(|head| head.stream == "lifecycle") {
            Some(mut head) => match head.data.take().and_then(|data| data.phase) {
                Some(phase) => Self::Lifecycle(head, phase),
                None => Self::Nothing,
            },
            None => Self::Nothing,
        }
    }

    /// Whether a cache that knows of nothing amiss knows this already: then it need not be touched, nor copied.
    pub(super) fn is_known_to(&self, cache: &SessionRoster) -> bool {
        match self {
            Self::Nothing => true,
            Self::Chat(head) if !head.state.is_terminal() && cache.stale().is_none() => cache
                .get(&head.session_key)
                .is_some_and(|entry| entry.active && entry.runs.iter().any(|run| *run == head.run_id)),
            _ => false,
        }
    }

    pub(super) fn apply(&self, cache: &mut SessionRoster) {
        match self {
            Self::Changed(event) => cache.on_changed(event),
            Self::Chat(head) => cache.on_chat_state(&head.session_key, &head.run_id, &head.state),
            Self::Lifecycle(head, phase) => cache.on_lifecycle(&head.session_key, &head.run_id, phase),
            Self::Nothing => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use windlass_protocol::{Generation, RawJson};

    use super::*;

    fn event(name: &str, payload: &str) -> Event {
        Event {
            name: name.into(),
            payload: RawJson::parse(payload).unwrap(),
            seq: None,
            generation: Generation::new(1),
        }
    }

    #[test]
    fn only_what_matters_is_read() {
        let start = event(
            "agent",
            r#"{"runId":"r","stream":"lifecycle","data":{"phase":"start"},"sessionKey":"s\u0031"}"#,
        );
        assert!(matches!(News::read(&start), News::Lifecycle(head, AgentPhase::Start) if head.session_key == "s1"));
        for other in [
            r#"{"runId":"r","stream":"assistant","data":{"text":"lifecycle"},"sessionKey":"s"}"#,
            r#"{"runId":"r","stream":"lifecycle","data":{},"sessionKey":"s"}"#,
            r#"{"lifecycle":1}"#,
        ] {
            assert!(matches!(News::read(&event("agent", other)), News::Nothing), "{other}");
        }
        let delta = event(
            "chat",
            r#"{"runId":"r","sessionKey":"s","state":"delta","message":{"content":"x"}}"#,
        );
        let delta = News::read(&delta);
        let mut cache = SessionRoster::default();
        cache.on_asked();
        let list = r#"{"ts":1,"sessions":[{"key":"s"}]}"#;
        cache.on_list(&serde_json::from_str(list).unwrap(), 0);
        assert!(!delta.is_known_to(&cache));
        delta.apply(&mut cache);
        assert!(delta.is_known_to(&cache) && cache.get("s").unwrap().active);
    }
}
