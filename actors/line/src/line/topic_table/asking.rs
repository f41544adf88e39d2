//! The requests for a topic, and the meaning of refusals.

use std::time::{Duration, Instant};

use windlass_protocol::connection::{AnswerMode, Resend};
use windlass_protocol::request::{ChatHistory, Request, SessionsList, SessionsMessagesSubscribe, SessionsSubscribe};
use windlass_protocol::{CallError, ErrorClass, ErrorCode, Generation, HelloOk, MethodName, NotSent, RawJson};

use crate::line::OutgoingCall;
use crate::routing::Topic;

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
pub(super) enum Step {
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
pub(crate) struct Ask {
    pub(super) topic: Topic,
    pub(super) step: Step,
    pub(super) generation: Generation,
    /// Whether the session that all agents share is asked for, too, where there is one.
    pub(super) global: Option<bool>,
}

impl Ask {
    /// The call that asks it. It is never written twice: the next connection asks anew.
    pub(super) fn call(&self, now: Instant) -> OutgoingCall {
        let (method, params) = self.request();
        OutgoingCall {
            method: MethodName::new(method).expect("the names in this file are method names"),
            params,
            deadline: now + ANSWER_WITHIN,
            resend: Resend::Never,
            answers: AnswerMode::First,
            wait_for_line: false,
            trace: None,
        }
    }

    fn request(&self) -> (&'static str, Option<RawJson>) {
        match (&self.topic, self.step) {
            (Topic::Messages(key), Step::Subscribe { .. }) => parts(&SessionsMessagesSubscribe::new(&**key)),
            (Topic::Messages(key), Step::Snapshot) => parts(&ChatHistory::new(&**key).limit(SNAPSHOT_ROWS)),
            (Topic::Messages(key), Step::Unsubscribe) => {
                let (_, params) = parts(&SessionsMessagesSubscribe::new(&**key));
                (UNSUBSCRIBE_MESSAGES, params)
            }
            (_, Step::Subscribe { listing: true }) => {
                let mut request = SessionsSubscribe::new().limit(SNAPSHOT_SESSIONS);
                request.include_global = self.global;
                parts(&request)
            }
            (_, Step::Subscribe { listing: false }) => parts(&SessionsSubscribe::new()),
            (_, Step::Snapshot) => {
                let mut request = SessionsList::new().limit(SNAPSHOT_SESSIONS);
                request.include_global = self.global;
                parts(&request)
            }
            (_, Step::Unsubscribe) => (UNSUBSCRIBE_SESSIONS, None),
        }
    }
}

fn parts<R: Request>(request: &R) -> (&'static str, Option<RawJson>) {
    let params = RawJson::from_value(request).expect("texts and numbers can be written as JSON");
    (R::METHOD, Some(params))
}

/// Which of the methods a gateway lists. One that is not listed may be there all the same.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Offers {
    sessions: Offer,
    messages: Offer,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Offer {
    pub(super) subscribe: bool,
    /// `sessions.unsubscribe` is there from 2026.4.15 to 2026.7 only.
    pub(super) unsubscribe: bool,
}

impl Offers {
    pub(super) fn new(hello: &HelloOk) -> Self {
        let methods = hello.features.methods.as_deref().unwrap_or_default();
        let lists = |method: &str| methods.iter().any(|listed| listed == method);
        let offer = |subscribe, unsubscribe| Offer {
            subscribe: lists(subscribe),
            unsubscribe: lists(unsubscribe),
        };
        Self {
            sessions: offer(SessionsSubscribe::METHOD, UNSUBSCRIBE_SESSIONS),
            messages: offer(SessionsMessagesSubscribe::METHOD, UNSUBSCRIBE_MESSAGES),
        }
    }

    pub(super) const fn of(self, topic: &Topic) -> Offer {
        match topic {
            Topic::Messages(_) => self.messages,
            Topic::Sessions | Topic::Everything => self.sessions,
        }
    }
}

/// The meaning of a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It may work later; not before so long, where the gateway says so.
    Later(Option<Duration>),
    /// The gateway does not know the method, or not with these parameters, or not its subject. All three are
    /// one error without a code.
    NotKnown,
    /// A person has to act first.
    Refused,
}

impl Fate {
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
