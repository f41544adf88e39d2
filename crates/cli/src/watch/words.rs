//! Events in words.

use serde_json::Value;
use windlass_line::Event;
use windlass_protocol::{
    AgentEvent, AgentPhase, AgentStream, ChatEvent, ChatState, EventKeys, TypedEvent, message_text,
};

use crate::text::{counted, escaped};
use crate::watch::speech::Words;

/// Longest name or key shown, in characters.
const NAME_LIMIT: usize = 60;
/// Longest text of a gateway in an event's words, in characters; the line may have room for less.
const TEXT_LIMIT: usize = 2_000;
/// Characters of a long id that tell it apart.
const SHORT_ID: usize = 11;

/// EventWords an event means to a person.
#[derive(Debug)]
pub(crate) struct Told {
    /// The agent, and its session where that is not the main one; nothing where it is about the gateway.
    pub(crate) who: Option<String>,
    /// Words that an agent says, of this run.
    pub(crate) says: Option<(String, SpokenText)>,
    /// The run says nothing more.
    pub(crate) ends: bool,
    /// EventWords happened.
    pub(crate) what: Option<EventWords>,
}

/// Words of an agent.
#[derive(Debug)]
pub(crate) enum SpokenText {
    Whole(String),
    More(String),
}

impl SpokenText {
    pub(crate) fn words(&self) -> Words<'_> {
        match self {
            Self::Whole(text) => Words::Whole(text),
            Self::More(text) => Words::More(text),
        }
    }
}

/// EventWords happened, and whether it is good.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EventWords {
    Plain(String),
    Good(String),
    Bad(String),
}

/// Which kinds of events are shown beside this one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beside {
    /// `chat` events are shown, so their repetition in `agent` events is not.
    pub(crate) chat: bool,
}

/// Puts an event into words.
pub(crate) fn of(event: &Event, beside: Beside) -> Told {
    let payload = event.payload.as_str();
    let keys = EventKeys::parse(payload);
    let who = who(keys.session_key.as_deref(), keys.agent_id.as_deref());
    let told = |what| Told {
        who: who.clone(),
        says: None,
        ends: false,
        what: Some(what),
    };
    match TypedEvent::decode(&event.name, payload) {
        Ok(TypedEvent::Chat(chat)) => of_chat(who, &chat),
        Ok(TypedEvent::Agent(agent)) => of_agent(who, *agent, beside),
        Ok(TypedEvent::SessionTool(tool)) => told(EventWords::Plain(tool_words(tool.data.as_ref()))),
        Ok(TypedEvent::SessionMessage(row)) => {
            let role = row
                .message
                .as_ref()
                .and_then(|row| row.get("role")?.as_str())
                .unwrap_or("a row");
            let text = row.message.as_ref().and_then(message_text).unwrap_or_default();
            let text = line(text.trim());
            told(EventWords::Plain(format!(
                "has a new message by {}: {text}",
                name(role)
            )))
        }
        Ok(TypedEvent::SessionsChanged(row)) => {
            let why = [row.reason.as_deref(), row.phase.as_deref(), row.status.as_deref()];
            told(EventWords::Plain(joined("session changed", why)))
        }
        Ok(other) => told(of_gateway(&other).unwrap_or_else(|| unknown(event))),
        Err(_) => told(unknown(event)),
    }
}

/// `main`, `scribe`, `scribe/review`: the agent, and the session where it is not the main one.
fn who(session: Option<&str>, agent: Option<&str>) -> Option<String> {
    let Some(key) = session else {
        return agent.map(short);
    };
    let mut parts = key.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("agent"), Some(agent), Some("main")) => Some(short(agent)),
        (Some("agent"), Some(agent), Some(rest)) => Some(format!("{}/{}", short(agent), name(rest))),
        _ => Some(name(key)),
    }
}

/// A name; of an id with a UUID in it, the beginning.
fn short(id: &str) -> String {
    let is_long = id.chars().count() > NAME_LIMIT / 2 && id.contains('-');
    name(&if is_long {
        id.chars().take(SHORT_ID).collect()
    } else {
        id.to_owned()
    })
}

fn name(text: &str) -> String {
    escaped(text, NAME_LIMIT)
}

fn line(text: &str) -> String {
    escaped(text, TEXT_LIMIT)
}

/// Words, followed by other known facts in parentheses.
fn joined<'a>(words: &str, more: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let more: Vec<String> = more.into_iter().flatten().map(name).collect();
    if more.is_empty() {
        words.to_owned()
    } else {
        format!("{words} ({})", more.join(", "))
    }
}

fn of_chat(who: Option<String>, chat: &ChatEvent) -> Told {
    let says = match (chat.text(), &chat.delta_text) {
        (Some(text), _) => Some(SpokenText::Whole(text)),
        (None, Some(more)) => Some(SpokenText::More(more.clone())),
        (None, None) => None,
    };
    let reason = chat.stop_reason.as_deref();
    let what = match &chat.state {
        ChatState::Delta => None,
        ChatState::Status => Some(EventWords::Plain(joined(
            "prepares its answer",
            [chat.phase.as_deref()],
        ))),
        ChatState::Final if chat.is_bare_final() => {
            Some(EventWords::Plain("ends without a word of its own".to_owned()))
        }
        ChatState::Final => Some(EventWords::Good("has answered".to_owned())),
        ChatState::Aborted => Some(EventWords::Bad(joined("was stopped", [reason]))),
        ChatState::Error => {
            let why = chat.error_message.as_deref().or(chat.error_kind.as_deref());
            Some(EventWords::Bad(format!(
                "failed: {}",
                line(why.unwrap_or("the gateway does not say why"))
            )))
        }
        other => Some(EventWords::Plain(format!("chat: {}", name(other.as_str())))),
    };
    Told {
        who,
        says: says.map(|said| (chat.run_id.clone(), said)),
        ends: chat.is_terminal(),
        what,
    }
}

fn of_agent(who: Option<String>, agent: AgentEvent, beside: Beside) -> Told {
    let is_over =
        agent.stream == AgentStream::Lifecycle && matches!(agent.phase(), Some(AgentPhase::End | AgentPhase::Error));
    let says = if agent.stream == AgentStream::Assistant && !beside.chat {
        let text = agent.data.as_ref().and_then(|data| data.get("text")?.as_str());
        text.map(|text| SpokenText::Whole(text.to_owned()))
    } else {
        None
    };
    Told {
        who,
        what: agent_words(&agent),
        says: says.map(|said| (agent.run_id, said)),
        ends: is_over && !beside.chat,
    }
}

fn agent_words(agent: &AgentEvent) -> Option<EventWords> {
    let data = agent.data.as_ref();
    let text = |key: &str| data.and_then(|data| data.get(key)?.as_str());
    let run = if agent.is_heartbeat == Some(true) {
        "a heartbeat"
    } else {
        "a run"
    };
    Some(match (&agent.stream, agent.phase()) {
        // The words stand in lines of their own.
        (AgentStream::Assistant, _) => return None,
        (AgentStream::Lifecycle, Some(AgentPhase::Start)) => EventWords::Plain(format!("begins {run}")),
        (AgentStream::Lifecycle, Some(AgentPhase::End)) => EventWords::Plain(format!("ends {run}")),
        (AgentStream::Lifecycle, Some(AgentPhase::Error)) => {
            let why = text("error").unwrap_or("the gateway does not say why");
            EventWords::Bad(format!("{run} failed: {}", line(why)))
        }
        (AgentStream::Tool, _) => EventWords::Plain(tool_words(data)),
        (AgentStream::Usage, _) => match data.and_then(|data| data.get("outputTokens")?.as_u64()) {
            Some(tokens) => EventWords::Plain(format!("has written {}", counted(tokens, "token"))),
            None => EventWords::Plain("uses tokens".to_owned()),
        },
        (AgentStream::RunStatus, _) => EventWords::Plain(joined("prepares its answer", [text("phase")])),
        (stream, _) => EventWords::Plain(joined(
            &format!("works: {}", name(stream.as_str())),
            [text("phase"), text("title").or(text("name"))],
        )),
    })
}

fn tool_words(data: Option<&Value>) -> String {
    let text = |key: &str| data.and_then(|data| data.get(key)?.as_str());
    let tool = name(text("name").unwrap_or("a tool"));
    let failed = data.and_then(|data| data.get("isError")?.as_bool()) == Some(true);
    match text("phase") {
        Some("result") if failed => format!("got an error from {tool}"),
        Some("result") => format!("got the result of {tool}"),
        Some("start") | None => format!("calls {tool}"),
        Some(phase) => format!("calls {tool} ({})", name(phase)),
    }
}

fn of_gateway(event: &TypedEvent) -> Option<EventWords> {
    let plain = |text: String| Some(EventWords::Plain(text));
    match event {
        TypedEvent::Tick(_) => plain("is alive".to_owned()),
        TypedEvent::Health(health) => match health.ok {
            Some(false) => Some(EventWords::Bad("is not well".to_owned())),
            _ => plain("is well".to_owned()),
        },
        TypedEvent::Presence(list) => plain(format!("has {} on its list", counted(list.presence.len(), "client"))),
        TypedEvent::Shutdown(shutdown) => {
            let words = match shutdown.restart_expected_ms {
                Some(_) => "restarts",
                None => "goes down",
            };
            Some(EventWords::Bad(joined(words, [shutdown.reason.as_deref()])))
        }
        TypedEvent::ConfigChanged(_) => plain("has a changed configuration".to_owned()),
        TypedEvent::Cron(cron) => {
            let why = [cron.status.as_deref(), cron.error.as_deref()];
            plain(joined(
                &format!("job {} {}", name(&cron.job_id), name(&cron.action)),
                why,
            ))
        }
        TypedEvent::Task(task) => plain(format!("task {}", name(&task.action))),
        TypedEvent::SkillsChanged(skills) => plain(joined("has changed skills", [skills.reason.as_deref()])),
        TypedEvent::Heartbeat(beat) => {
            let why = [beat.status.as_deref(), beat.reason.as_deref(), beat.preview.as_deref()];
            plain(joined("heartbeat", why))
        }
        TypedEvent::UpdateAvailable(update) => plain(match &update.update_available {
            None | Some(Value::Null) => "has no update".to_owned(),
            Some(_) => "can be updated".to_owned(),
        }),
        TypedEvent::ChatMetadataChanged(_) => plain("has changed models or commands".to_owned()),
        TypedEvent::PairRequested(_) => plain("is asked to pair with a device: openclaw devices list".to_owned()),
        TypedEvent::PairResolved(_) => plain("has decided on pairing with a device".to_owned()),
        _ => None,
    }
}

/// An event without words: its name and payload.
fn unknown(event: &Event) -> EventWords {
    EventWords::Plain(format!("{} {}", name(&event.name), line(event.payload.as_str())))
}
