//! One topic: its state, the requests for it, and the meaning of their answers.

use std::time::{Duration, Instant};

use rand::{Rng, RngExt as _};
use windlass_protocol::connection::{AnswerMode, CallRequest, Resend};
use windlass_protocol::request::{ChatHistory, Request, SessionsList, SessionsMessagesSubscribe, SessionsSubscribe};
use windlass_protocol::{
    CallError, ErrorClass, ErrorCode, GatewayId, Generation, HelloOk, MethodName, NotSent, RawJson,
};

use crate::routing::{Marker, Topic};

/// Sessions in a snapshot: all of a busy gateway, in about a megabyte. A longer list says so by `hasMore`.
pub const SNAPSHOT_SESSIONS: u32 = 1000;
/// Rows of a session's history in a snapshot: enough for a screen, and a fifth of the most that a gateway gives.
const SNAPSHOT_ROWS: u32 = 200;
/// How long one answer is waited for: as long as the reference client does. (The slowest list seen took 1.5 s.)
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

const UNSUBSCRIBE_SESSIONS: &str = "sessions.unsubscribe";
const UNSUBSCRIBE_MESSAGES: &str = "sessions.messages.unsubscribe";

/// One question to the gateway about a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TopicStep {
    /// Send the events.
    Subscribe {
        /// And answer with the state, as 2026.9.6 documents it. Older releases refuse the parameters.
        listing: bool,
    },
    /// The request for the state.
    Snapshot,
    /// Don't send them any more.
    Unsubscribe,
}

/// A question under way.
#[derive(Debug)]
pub(crate) struct TopicRequest {
    pub(super) topic: Topic,
    pub(super) step: TopicStep,
    pub(super) generation: Generation,
    /// Whether the session that all agents share is asked for, too, where there is one.
    pub(super) global: Option<bool>,
}

impl TopicRequest {
    /// The call that asks it; `slot` makes the receiver of its answer. It is never written twice: the next connection asks anew.
    pub(super) fn into_call<S>(self, now: Instant, slot: impl FnOnce(Self) -> S) -> CallRequest<S> {
        let (method, params) = self.request();
        CallRequest {
            method: MethodName::new(method).expect("the names in this file are method names"),
            params,
            deadline: now + ANSWER_WITHIN,
            resend: Resend::Never,
            answers: AnswerMode::First,
            wait_for_line: false,
            trace: None,
            slot: slot(self),
        }
    }

    fn request(&self) -> (&'static str, Option<RawJson>) {
        match (&self.topic, self.step) {
            (Topic::Messages(key), TopicStep::Subscribe { .. }) => {
                method_and_params(&SessionsMessagesSubscribe::new(&**key))
            }
            (Topic::Messages(key), TopicStep::Snapshot) => {
                method_and_params(&ChatHistory::new(&**key).limit(SNAPSHOT_ROWS))
            }
            (Topic::Messages(key), TopicStep::Unsubscribe) => {
                let (_, params) = method_and_params(&SessionsMessagesSubscribe::new(&**key));
                (UNSUBSCRIBE_MESSAGES, params)
            }
            (_, TopicStep::Subscribe { listing: true }) => {
                let mut request = SessionsSubscribe::new().limit(SNAPSHOT_SESSIONS);
                request.include_global = self.global;
                method_and_params(&request)
            }
            (_, TopicStep::Subscribe { listing: false }) => method_and_params(&SessionsSubscribe::new()),
            (_, TopicStep::Snapshot) => {
                let mut request = SessionsList::new().limit(SNAPSHOT_SESSIONS);
                request.include_global = self.global;
                method_and_params(&request)
            }
            (_, TopicStep::Unsubscribe) => (UNSUBSCRIBE_SESSIONS, None),
        }
    }
}

fn method_and_params<R: Request>(request: &R) -> (&'static str, Option<RawJson>) {
    let params = RawJson::from_value(request).expect("texts and numbers can be written as JSON");
    (R::METHOD, Some(params))
}

/// Which of the methods a gateway lists. One that is not listed may be there all the same.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SubscriptionSupport {
    sessions: TopicSupport,
    messages: TopicSupport,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TopicSupport {
    pub(super) subscribe: bool,
    /// `sessions.unsubscribe` is there from 2026.4.15 to 2026.7 only.
    pub(super) unsubscribe: bool,
}

impl SubscriptionSupport {
    pub(super) fn new(hello: &HelloOk) -> Self {
        let methods = hello.features.methods.as_deref().unwrap_or_default();
        let lists = |method: &str| methods.iter().any(|listed| listed == method);
        let offer = |subscribe, unsubscribe| TopicSupport {
            subscribe: lists(subscribe),
            unsubscribe: lists(unsubscribe),
        };
        Self {
            sessions: offer(SessionsSubscribe::METHOD, UNSUBSCRIBE_SESSIONS),
            messages: offer(SessionsMessagesSubscribe::METHOD, UNSUBSCRIBE_MESSAGES),
        }
    }

    pub(super) const fn of(self, topic: &Topic) -> TopicSupport {
        match topic {
            Topic::Messages(_) => self.messages,
            Topic::Sessions | Topic::Everything => self.sessions,
        }
    }
}

/// The meaning of a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// It may work later; not before so long, where the gateway says so.
    Later(Option<Duration>),
    /// The gateway does not know the method, or not with these parameters, or not its subject. All three are
    /// one error without a code.
    NotKnown,
    /// A person has to act first.
    Refused,
}

impl FailureKind {
    pub(super) fn of(error: &CallError) -> Self {
        match error {
            CallError::Rejected(rejected) => {
                let error = &rejected.error;
                let class = error.class();
                if class == ErrorClass::Transient || error.code == ErrorCode::Unavailable {
                    Self::Later(error.retry_after)
                } else if class == ErrorClass::Rejected || error.missing_scope() == Some("operator.admin") {
                    // Generation 3 says of a method that it does not know that it needs admin, to those who have not.
                    Self::NotKnown
                } else {
                    Self::Refused
                }
            }
            CallError::NotSent(NotSent::TooLarge { .. } | NotSent::Invalid { .. }) => Self::Refused,
            _ => Self::Later(None),
        }
    }
}

/// First wait after a question that failed.
const REST_BASE: Duration = Duration::from_millis(500);
/// Longest wait: a gateway that is busy for minutes is asked twice a minute.
const REST_CAP: Duration = Duration::from_secs(30);

/// How the gateway of a release is to be asked, as it has answered before.
#[derive(Debug, Clone, Default)]
pub(super) struct ReleaseHabits {
    /// The release that it was learnt from.
    pub(super) version: String,
    pub(super) sessions: SubscribeManner,
    pub(super) messages: SubscribeManner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum SubscribeManner {
    /// Subscribe with the parameters of a list. (One session's messages are always subscribed without any.)
    #[default]
    Listing,
    /// Subscribe, then ask for the state.
    Bare,
    /// There is no subscription: ask for the state.
    Without,
}

#[derive(Debug, Default)]
pub(super) struct TopicEntry {
    /// Guards that hold it.
    pub(super) holders: usize,
    /// Held by [`Topic::Everything`] as well.
    pub(super) held_by_everything: bool,
    pub(super) phase: TopicPhase,
    /// Something may have been missed since it was loaded last.
    pub(super) stale: bool,
    pub(super) subscribed: bool,
    /// Failures in a row.
    pub(super) failures: u32,
    /// The refusal that was logged last, so that it is not logged at every connection.
    pub(super) logged_refusal: Option<Box<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum TopicPhase {
    #[default]
    Idle,
    /// To be asked as soon as there is room; `None` is the first question, whichever that is.
    Ready(Option<TopicStep>),
    Asked(TopicStep),
    /// Failed just now; may be asked again not before so long.
    Failed(Option<Duration>),
    Resting(Instant),
    /// Refused by the gateway: left alone until the next connection, or until it is declared once more.
    Refused,
}

impl TopicEntry {
    pub(super) const fn is_held(&self) -> bool {
        self.holders > 0 || self.held_by_everything
    }
}

/// How long to wait after so many failures in a row: doubled each time, half of it by chance.
pub(super) fn retry_delay(failures: u32, asked_for: Option<Duration>, rng: &mut impl Rng) -> Duration {
    let doubled = REST_BASE
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(REST_CAP);
    let own = doubled.mul_f64(rng.random_range(0.5..=1.0));
    asked_for.map_or(own, |asked| asked.min(REST_CAP).max(own))
}

/// The outcome of an answer.
#[derive(Debug, Default)]
pub(super) struct TopicOutcome {
    /// To be told to subscribers, here and now.
    pub(super) markers: Vec<Marker>,
    /// To be logged.
    pub(super) trouble: Option<TopicFailure>,
}

/// A question that failed.
#[derive(Debug)]
pub(super) struct TopicFailure {
    topic: Topic,
    why: Box<str>,
    refused: bool,
    /// It was logged before.
    known: bool,
}

impl TopicFailure {
    pub(super) fn new(request: &TopicRequest, error: &CallError, refused: bool, known: bool) -> Self {
        Self {
            topic: request.topic.clone(),
            why: error_text(error),
            refused,
            known,
        }
    }

    /// Reports the failure: once as a warning, and in detail from then on.
    pub(super) fn log(&self, id: &GatewayId) {
        let (what, why) = (&self.topic, &self.why);
        match (self.known, self.refused) {
            (true, _) => tracing::debug!(gateway = %id, %what, %why, "still not subscribed"),
            (false, true) => tracing::warn!(gateway = %id, %what, %why, "the gateway refuses a subscription"),
            (false, false) => tracing::warn!(gateway = %id, %what, %why, "a subscription is tried again"),
        }
    }
}

/// The error, for people: the gateway's words, where there are any.
pub(super) fn error_text(error: &CallError) -> Box<str> {
    match error {
        CallError::Rejected(rejected) => rejected.error.to_string(),
        other => other.to_string(),
    }
    .into()
}

/// More is declared on one line than it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line keeps {MAX_TOPICS} topics subscribed at most")]
pub struct TooManyTopics;

/// Topics of one line. Each costs a gateway one or two calls at each connection, and a gateway with more sessions than
/// this is watched by its agents, not as a whole.
pub const MAX_TOPICS: usize = 1024;
/// How often topics were loaded, since the line was made. Only ever grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ResyncCounters {
    /// Times that a topic was loaded: [`Marker::Resynced`] was told.
    pub done: u64,
    /// Questions that failed and were asked again later.
    pub failed: u64,
    /// Times that a gateway refused a topic.
    pub refused: u64,
    /// Sessions that [`Topic::Everything`] left out, because there were more than [`MAX_TOPICS`].
    pub left_out: u64,
}
