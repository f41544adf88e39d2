//! Logical sends: chat messages that must happen once, however often they are tried.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use windlass_protocol::SessionKey;

use super::named;
use crate::backend::{self, check};
use crate::error::StoreError;
use crate::limits;
use crate::values::{GatewayUid, Timestamp};

named! {
    /// The state of a send.
    SendState, "send state" {
        /// Under way, or cut off and to be continued.
        Pending = "pending",
        /// The gateway has taken it.
        Done = "done",
        /// It did not happen.
        Failed = "failed",
        /// The outcome is unknown, or its result is gone.
        Lost = "lost",
    }
}

/// The end of a send. Texts are cut to [`limits::MESSAGE_CHARS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum SendEnd {
    /// The gateway has taken it.
    Done {
        /// The run that it started, which is not always the key.
        run_id: String,
    },
    /// It did not happen.
    Failed {
        /// The reason.
        error: String,
    },
    /// The outcome is unknown, or its result is gone.
    Lost {
        /// The reason.
        why: String,
    },
}

/// An end with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// The end.
    #[serde(flatten)]
    pub end: SendEnd,
    /// The time of it.
    pub at: Timestamp,
}

/// A send that is to begin. `Debug` shows neither its text nor its options.
#[derive(Clone, PartialEq, Serialize)]
pub struct NewSend {
    /// Its idempotency key, one for all its attempts.
    pub key: String,
    /// The gateway, which needs no record.
    pub gateway_id: GatewayUid,
    /// The session.
    pub session_key: SessionKey,
    /// The message, of at most [`limits::SEND_TEXT_BYTES`].
    pub text: String,
    /// Whether to deliver the answer to the session's channel; `None` leaves it to the gateway.
    pub deliver: Option<bool>,
    /// Its options, in the sender's own form; at most [`limits::JSON_BYTES`].
    pub options: Value,
    /// The time of the request.
    pub created_at: Timestamp,
    /// The end of its attempts.
    pub deadline: Option<Timestamp>,
}

/// A send as it stands. `Debug` shows neither its text nor its options.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChatSend {
    /// Counted up and never used again: the order in which the messages of a session go out.
    pub position: i64,
    /// The send as it was begun.
    #[serde(flatten)]
    pub send: NewSend,
    /// The number of attempts.
    pub attempts: u32,
    /// Its end; `None` while it is pending.
    pub ended: Option<Ended>,
}

/// An attempt to send.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// The time before the attempt.
    pub at: Timestamp,
    /// The incarnation of the gateway and the connection, in the sender's own form; at most [`limits::JSON_BYTES`].
    pub facts: Value,
}

/// A selection of sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendFilter {
    /// Those to this gateway only.
    pub gateway: Option<GatewayUid>,
    /// Those to this session only.
    pub session_key: Option<SessionKey>,
}

impl fmt::Debug for NewSend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSend")
            .field("key", &self.key)
            .field("gateway_id", &self.gateway_id)
            .field("session_key", &self.session_key.as_str())
            .field("text", &format_args!("{} bytes", self.text.len()))
            .field("deliver", &self.deliver)
            .field("created_at", &self.created_at)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl SendEnd {
    /// The state that it leaves the send in.
    pub fn state(&self) -> SendState {
        match self {
            Self::Done { .. } => SendState::Done,
            Self::Failed { .. } => SendState::Failed,
            Self::Lost { .. } => SendState::Lost,
        }
    }

    /// The id of the run, or the reason.
    pub fn text(&self) -> &str {
        match self {
            Self::Done { run_id: text } | Self::Failed { error: text } | Self::Lost { why: text } => text,
        }
    }

    /// The end with this state; `None` for [`SendState::Pending`].
    pub fn of(state: SendState, text: String) -> Option<Self> {
        match state {
            SendState::Pending => None,
            SendState::Done => Some(Self::Done { run_id: text }),
            SendState::Failed => Some(Self::Failed { error: text }),
            SendState::Lost => Some(Self::Lost { why: text }),
        }
    }

    /// Checks the fields, before it is written.
    pub fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Done { run_id } => check::name("send.run_id", run_id, limits::KEY_CHARS),
            Self::Failed { .. } | Self::Lost { .. } => Ok(()),
        }
    }

    /// The end to store, its text cut.
    pub fn kept(&self) -> Self {
        match self {
            Self::Done { .. } => self.clone(),
            Self::Failed { error } => Self::Failed {
                error: backend::cut(error),
            },
            Self::Lost { why } => Self::Lost { why: backend::cut(why) },
        }
    }
}

impl NewSend {
    /// Checks the fields, before it is written.
    pub fn check(&self) -> Result<(), StoreError> {
        check::name("send.key", &self.key, limits::KEY_CHARS)?;
        check::bytes("send.text", &self.text, limits::SEND_TEXT_BYTES)?;
        check::json("send.options", &self.options)
    }

    /// Its size in a page, in bytes.
    pub fn size(&self) -> u64 {
        let options = serde_json::to_vec(&self.options).map_or(0, |bytes| bytes.len());
        (self.text.len() + options) as u64
    }
}

impl ChatSend {
    /// Its state.
    pub fn state(&self) -> SendState {
        self.ended
            .as_ref()
            .map_or(SendState::Pending, |ended| ended.end.state())
    }

    /// A pending send at a position.
    pub fn begun(position: i64, send: NewSend) -> Self {
        Self {
            position,
            send,
            attempts: 0,
            ended: None,
        }
    }
}

impl SendFilter {
    /// Whether the filter takes it.
    pub fn takes(&self, send: &NewSend) -> bool {
        self.gateway.is_none_or(|id| send.gateway_id == id)
            && self.session_key.as_ref().is_none_or(|key| send.session_key == *key)
    }
}
