//! A session cache's side of the wire: the members of events that it reads (not their texts, of which a run sends hundreds), lists that
//! do not fit into one answer, and how often it asks for one.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use windlass_line::line::{Line, OutgoingCall, SNAPSHOT_SESSIONS};
use windlass_line::routing::Event;
use windlass_protocol::connection::{AnswerMode, Resend};
use windlass_protocol::request::{Request as _, SessionsList, SessionsListReply};
use windlass_protocol::session_roster::{SESSIONS_KEPT, SessionRoster};
use windlass_protocol::{
    AgentPhase, CallError, ChatState, ErrorClass, MethodName, RawJson, SessionsChangedEvent, json,
};

/// The names of the events that a cache is fed with.
pub(super) const NAMES: [&str; 3] = ["sessions.changed", "chat", "agent"];

/// What an event means for a cache.
#[derive(Debug)]
pub(super) enum SessionNews<'a> {
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
    data: Option<AgentPhaseHead>,
}

#[derive(Debug, Deserialize)]
struct AgentPhaseHead {
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

impl<'a> SessionNews<'a> {
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

/// How long one page is waited for: as long as the line waits for the first one.
const PAGE_WITHIN: Duration = Duration::from_secs(30);

/// Which part of the list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The page that begins there (from 2026.6 on).
    Page(u32),
    /// As many as are kept: 2026.5 has limits and no offsets.
    AsManyAsKept,
    /// All, which is what generation 3 gives when it is told no limit. It does not say when it leaves some out.
    All,
}

/// A list that came, or did not.
pub(super) type PageReply = (Part, Result<SessionsListReply, PageFailure>);

/// Why a part of the list did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageFailure {
    /// The gateway does not know these parameters.
    Refused,
    /// It may come later.
    Later,
}

/// The part of a list that is under way; one at a time.
#[derive(Default)]
pub(super) struct Asking {
    asked: Option<LocalBoxFuture<'static, PageReply>>,
    /// Counts what became void: an answer that was at hand already may be void too.
    cancelled: u64,
}

impl Asking {
    pub(super) fn ask(&mut self, line: &Arc<Line>, part: Part) {
        let line = Arc::clone(line);
        self.asked = Some(async move { (part, list(&line, part).await) }.boxed_local());
    }

    pub(super) fn cancel(&mut self) {
        self.asked = None;
        self.cancelled += 1;
    }

    pub(super) const fn cancelled(&self) -> u64 {
        self.cancelled
    }

    /// The answer, once; for ever nothing while nothing is asked.
    pub(super) async fn answer(&mut self) -> PageReply {
        poll_fn(|cx| {
            let Some(asked) = &mut self.asked else {
                return Poll::Pending;
            };
            let answer = std::task::ready!(Pin::new(asked).poll(cx));
            self.asked = None;
            Poll::Ready(answer)
        })
        .await
    }
}

/// What to ask instead of believing this list, which was asked for with [`SNAPSHOT_SESSIONS`] as its limit.
pub(super) fn cut_unsaid(list: &SessionsListReply) -> Option<Part> {
    let full = list.sessions.len() >= SNAPSHOT_SESSIONS as usize;
    (full && list.has_more.is_none()).then_some(Part::All)
}

async fn list(line: &Line, part: Part) -> Result<SessionsListReply, PageFailure> {
    let mut list = match part {
        Part::Page(offset) => SessionsList::new().limit(SNAPSHOT_SESSIONS).offset(offset),
        Part::AsManyAsKept => SessionsList::new().limit(u32::try_from(SESSIONS_KEPT).unwrap_or(u32::MAX)),
        Part::All => SessionsList::new(),
    };
    list.include_global = line.status().borrow().key_space().is_global().then_some(true);
    let call = OutgoingCall {
        method: MethodName::new(SessionsList::METHOD).expect("sessions.list is a method's name"),
        params: Some(RawJson::from_value(&list).expect("numbers can be written as JSON")),
        deadline: line.now() + PAGE_WITHIN,
        resend: Resend::Never,
        answers: AnswerMode::First,
        wait_for_line: false,
        trace: None,
    };
    match line.call(call).await {
        Ok(payload) => payload.decode().map_err(|_| PageFailure::Later),
        Err(CallError::Rejected(no)) if no.error.class() == ErrorClass::Rejected => Err(PageFailure::Refused),
        Err(_) => Err(PageFailure::Later),
    }
}

/// How long a burst of events (a run's begin is five) is left to settle, so that it costs one list.
const SETTLE: Duration = Duration::from_millis(200);
/// The least time between the end of a load and the next one.
pub const REST: Duration = Duration::from_secs(1);
/// The longest: how far behind a slow gateway's cache may be.
pub const REST_CAP: Duration = Duration::from_secs(30);
/// How many times as long as a load took is rested after it: a gateway spends a tenth of its time on us at most.
const SHARE: u32 = 9;
/// How often the list is asked for where no event tells of changes (releases before 2026.4).
pub const POLL: Duration = Duration::from_secs(30);
/// How soon the list is asked for again that tells of a run without its name: it may be one that has just ended, which is listed
/// for up to 0.5 s after (2026.5.12).
const NAMELESS: Duration = Duration::from_secs(2);

/// When to ask next. What the line asks by itself (at a connection, after a gap) counts as a load too.
#[derive(Debug, Default)]
pub(super) struct RefreshSchedule {
    /// A load is under way, since then.
    asked: Option<Instant>,
    rest_until: Option<Instant>,
    /// Since when a load is wanted.
    wanted: Option<Instant>,
    poll_at: Option<Instant>,
}

impl RefreshSchedule {
    /// A load was asked for, or is known to be.
    pub(super) fn begin(&mut self, now: Instant) {
        self.asked = Some(now);
        self.wanted = None;
        self.poll_at = None;
    }

    /// It is over, well or not.
    pub(super) fn end(&mut self, now: Instant, polls: bool) {
        let took = self
            .asked
            .take()
            .map_or(Duration::ZERO, |asked| now.saturating_duration_since(asked));
        self.rest_until = Some(now + (took * SHARE).clamp(REST, REST_CAP));
        self.poll_at = polls.then(|| now + POLL);
    }

    /// Whatever was asked or wanted is void: the line is down, or the gateway refuses.
    pub(super) fn stop(&mut self) {
        *self = Self {
            rest_until: self.rest_until,
            ..Self::default()
        };
    }

    pub(super) fn want(&mut self, now: Instant) {
        if self.asked.is_none() {
            self.wanted.get_or_insert(now);
        }
    }

    /// A run without a name is at work: the list is looked at again, in any case not before the rest is over.
    pub(super) fn look_again(&mut self, now: Instant) {
        if self.asked.is_none() {
            let at = (now + NAMELESS).max(self.rest_until.unwrap_or(now));
            self.poll_at = Some(self.poll_at.map_or(at, |poll| poll.min(at)));
        }
    }

    /// When to ask, if nothing happens before.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.asked.is_some() {
            return None;
        }
        let wanted = self
            .wanted
            .map(|since| (since + SETTLE).max(self.rest_until.unwrap_or(since)));
        wanted.into_iter().chain(self.poll_at).min()
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
        assert!(
            matches!(SessionNews::read(&start), SessionNews::Lifecycle(head, AgentPhase::Start) if head.session_key == "s1")
        );
        for other in [
            r#"{"runId":"r","stream":"assistant","data":{"text":"lifecycle"},"sessionKey":"s"}"#,
            r#"{"runId":"r","stream":"lifecycle","data":{},"sessionKey":"s"}"#,
            r#"{"lifecycle":1}"#,
        ] {
            assert!(
                matches!(SessionNews::read(&event("agent", other)), SessionNews::Nothing),
                "{other}"
            );
        }
        let delta = event(
            "chat",
            r#"{"runId":"r","sessionKey":"s","state":"delta","message":{"content":"x"}}"#,
        );
        let delta = SessionNews::read(&delta);
        let mut cache = SessionRoster::default();
        cache.on_asked();
        let list = r#"{"ts":1,"sessions":[{"key":"s"}]}"#;
        cache.on_list(&serde_json::from_str(list).unwrap(), 0);
        assert!(!delta.is_known_to(&cache));
        delta.apply(&mut cache);
        assert!(delta.is_known_to(&cache) && cache.get("s").unwrap().active);
    }
}

#[cfg(test)]
mod schedule_tests {
    use super::*;
    use windlass_line::clock::{Clock as _, TokioClock};

    #[test]
    fn a_burst_costs_one_load_and_a_slow_gateway_is_asked_rarely() {
        let start = TokioClock::start().now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut pace = RefreshSchedule::default();
        assert_eq!(pace.due(), None);
        pace.want(at(0));
        pace.want(at(100));
        assert_eq!(pace.due(), Some(at(200)));
        pace.begin(at(200));
        pace.want(at(250));
        assert_eq!(pace.due(), None, "one at a time");
        pace.end(at(1_200), false);
        pace.want(at(1_300));
        assert_eq!(pace.due(), Some(at(1_200 + 9_000)), "nine times as long as it took");
        pace.begin(at(11_000));
        pace.end(at(11_001), false);
        pace.want(at(11_002));
        assert_eq!(pace.due(), Some(at(12_001)));
        pace.begin(at(13_000));
        pace.end(at(100_000), true);
        assert_eq!(pace.due(), Some(at(130_000)), "and then by the clock");
        pace.look_again(at(101_000));
        pace.look_again(at(105_000));
        assert_eq!(pace.due(), Some(at(130_000)), "the rest after a load of 87 s");
        pace.begin(at(130_000));
        pace.end(at(130_050), true);
        pace.look_again(at(130_060));
        pace.look_again(at(131_000));
        assert_eq!(pace.due(), Some(at(132_060)), "once, soon after it was seen");
        pace.stop();
        assert_eq!(pace.due(), None);
    }
}
