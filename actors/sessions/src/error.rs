//! How operations on sessions fail, and how to go on.

use windlass_protocol::request::Request;
use windlass_protocol::{AgentId, CallError, GatewayError, SessionKey};
use windlass_store::StoreError;

/// Why a question to the gateway has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AskError {
    /// The call failed: it was refused, not sent, not answered, or its outcome is not known.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The gateway answered in a shape that is not understood.
    #[error("the gateway's answer to {method} is not understood: {why}")]
    Shape {
        /// The method.
        method: &'static str,
        /// The fault and its place; no part of the answer itself.
        why: String,
    },
}

/// The session manager stopped, or let go of the message's gateway, before the message's end was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped before the message's end was known; one that is on record is taken up again at the next start")]
pub struct MessageInterrupted;

/// Why a message is not sent. Nothing of it was written to a gateway then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Windlass was shut down.
    #[error(transparent)]
    Interrupted(#[from] MessageInterrupted),
    /// Too many messages are under way.
    #[error("{limit} messages are under way already: wait for some of them to end")]
    TooMany {
        /// The bound that was met.
        limit: usize,
    },
    /// Its idempotency key is that of another message, under way or on record.
    #[error("the idempotency key is taken by another message: follow that one, or leave the key to us")]
    KeyTaken,
    /// It could not be put on record, so it was not sent.
    #[error("the message could not be put on record, so it was not sent")]
    NotKept(#[source] StoreError),
}

/// Why sessions can't be listed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The gateway could not be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// There are more sessions than a list may hold.
    #[error("the gateway has more than {limit} sessions: ask for those of one agent, or of the last days")]
    TooMany {
        /// The most that are given.
        limit: usize,
    },
}

/// Why a history can't be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The gateway could not be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// This release gives the last rows only, and the page begins before them.
    #[error("this gateway shows the last {rows} rows of a session only")]
    OutOfReach {
        /// How many.
        rows: u32,
    },
    /// There is no such row, or none that this release shows.
    #[error("the session's history has no row with this id")]
    NoSuchRow,
    /// This release has no cursors.
    #[error("this gateway has no cursors into a history: ask for its last rows")]
    NoCursors,
}

/// Why a session can't be seen to.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EnsureSessionError {
    /// The gateway could not be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Another session has the label; labels are unique on a gateway. The session itself is there.
    #[error("the label is taken by another session of this gateway: choose another")]
    LabelTaken,
    /// The gateway has no such agent. It would make the session all the same.
    #[error("the gateway has no agent {0}")]
    UnknownAgent(AgentId),
}

/// Why a session's properties can't be set.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The gateway could not be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Another session has the label; labels are unique on a gateway.
    #[error("the label is taken by another session of this gateway: choose another")]
    LabelTaken,
    /// There is no such session, and one that this release makes before its first message breaks at the second (2026.6).
    #[error(
        "the session is not there yet, and on this gateway its first message has to make it: send one, then set this"
    )]
    BeforeFirstMessage,
}

/// Why a session can't be deleted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DeleteError {
    /// The gateway could not be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// It is a main session: those stay as long as their agent (from 2026.8 on of every agent, before of the default agent).
    #[error("{0} is a main session, which the gateway does not delete: reset it, or delete its agent")]
    MainSession(SessionKey),
    /// A run goes on in it, and this release does not end it for a deletion (2026.4).
    #[error("a run goes on in the session: abort it first")]
    StillActive,
}

impl AskError {
    /// Keeps only the kind and the place of a serde error: its text may quote a value.
    pub fn shape<R: Request>(error: &serde_json::Error) -> Self {
        let why = format!(
            "{:?} error at line {}, column {}",
            error.classify(),
            error.line(),
            error.column()
        );
        Self::Shape { method: R::METHOD, why }
    }

    /// The gateway's refusal, where it is one.
    pub fn refusal(&self) -> Option<&GatewayError> {
        match self {
            Self::Call(CallError::Rejected(rejected)) => Some(&rejected.error),
            _ => None,
        }
    }
}

/// Those that wrap an [`AskError`] and say more.
macro_rules! wraps_ask {
    ($($error:ident),+) => {$(
        impl $error {
            /// The failed call, where the error is one.
            pub const fn ask(&self) -> Option<&AskError> {
                match self {
                    Self::Ask(error) => Some(error),
                    _ => None,
                }
            }
        }

        impl From<CallError> for $error {
            fn from(error: CallError) -> Self {
                Self::Ask(error.into())
            }
        }
    )+};
}

wraps_ask!(ListError, HistoryError, EnsureSessionError, PatchError, DeleteError);
