//! How an operation on a gateway fails.

use std::fmt;
use std::time::Duration;

use windlass_protocol::releases;
use windlass_protocol::run::Doubt;
use windlass_protocol::{Advice, Advise, CallError, ErrorClass, NotSent, Rejected};

use windlass_sessions::AskError;

/// Why an operation of a [`ControlPlane`](super::ControlPlane) failed. Cheap to clone: one failed write may have many
/// callers.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The gateway refused it, for a reason that has no variant of its own.
    #[error(transparent)]
    Rejected(Box<Rejected>),
    /// It was not sent, or its outcome is not known: never [`CallError::Rejected`].
    #[error(transparent)]
    Line(CallError),
    /// The resource does not exist on the gateway.
    #[error("the gateway has no {0}")]
    NotFound(ResourceKind),
    /// The gateway allows this to no client.
    #[error("the gateway does not allow this for {0}")]
    NotAllowed(ResourceKind),
    /// It can't be asked for at all.
    #[error("{why}")]
    Invalid {
        /// The fault.
        why: String,
    },
    /// The gateway took the message for a command of its own, such as `stop`, and carried that out: the agent did not get it.
    #[error("the gateway took the message for a command and did not give it to the agent")]
    TakenAsCommand,
    /// A run goes on in the session, and this release deletes no such session (2026.4).
    #[error("a run goes on in session {session}")]
    SessionBusy {
        /// Its key.
        session: String,
    },
    /// The message was cancelled while it waited in the gateway's queue: the agent did not get it.
    #[error("the message was cancelled before the agent got it")]
    Cancelled,
    /// Whether the message arrived is not known.
    #[error("whether the message arrived is not known: {0}")]
    Unknown(Doubt),
    /// The gateway has no such method.
    #[error("this gateway has no {method}")]
    NotOffered {
        /// The method.
        method: &'static str,
    },
    /// The gateway answered in a shape that is not understood.
    #[error("the gateway's answer to {method} is not understood: {why}")]
    Shape {
        /// The method.
        method: &'static str,
        /// The fault; holds nothing of the answer itself but names of members.
        why: String,
    },
    /// The configuration could not be changed as it should.
    #[error(transparent)]
    Config(#[from] ConfigFault),
}

/// The resource of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResourceKind {
    /// An agent, by its id.
    Agent(String),
    /// The main session of an agent, by its key: it stays as long as the agent does.
    MainSession(String),
    /// A method that a test's fake does not know, or anything else with a name.
    Other(String),
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(id) => write!(f, "agent {id}"),
            Self::MainSession(key) => write!(f, "main session {key}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// Why a configuration could not be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigFault {
    /// Others changed it between every reading and writing.
    #[error("the configuration was changed by others in each of {attempts} attempts to write it")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// The present configuration can't be read, so nothing can be added to it without losing it.
    #[error("the gateway's configuration has an unexpected {place}")]
    Unreadable {
        /// A dotted path.
        place: String,
    },
    /// The gateway takes no roster by configuration.
    #[error("the gateway's own schema takes no agents in its configuration")]
    NoRoster,
    /// The gateway asks to wait for the next write for longer than the operation may take.
    #[error("the gateway takes no write to its configuration for another {} s", .wait.as_secs())]
    NotBefore {
        /// How long it asks to wait, from now.
        wait: Duration,
    },
    /// So many callers wait for a write that no more are taken.
    #[error("{limit} changes wait to be written to this gateway's configuration already")]
    QueueFull {
        /// The bound that was met.
        limit: usize,
    },
    /// The control plane was dropped while the write waited.
    #[error("the write was given up because its control plane is gone")]
    Abandoned,
}

impl From<CallError> for ControlError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Rejected(rejected) => Self::Rejected(rejected),
            other => Self::Line(other),
        }
    }
}

impl From<AskError> for ControlError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Call(error) => error.into(),
            AskError::Shape { method, why } => Self::Shape { method, why },
        }
    }
}

impl ControlError {
    /// Whether the same operation may succeed later, by itself. An outcome that is not known counts: the operations are
    /// safe to repeat, but for the two that need a look first ([`is_outcome_unknown`](Self::is_outcome_unknown)).
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Rejected(rejected) => rejected.error.class() == ErrorClass::Transient,
            Self::Line(CallError::NotSent(not_sent)) => matches!(
                not_sent,
                NotSent::NotReady { .. } | NotSent::WouldWait | NotSent::QueueFull { .. }
            ),
            Self::Line(_) | Self::SessionBusy { .. } | Self::Unknown(_) => true,
            Self::Config(fault) => matches!(
                fault,
                ConfigFault::Contended { .. } | ConfigFault::QueueFull { .. } | ConfigFault::NotBefore { .. }
            ),
            Self::NotFound(_)
            | Self::NotAllowed(_)
            | Self::Invalid { .. }
            | Self::TakenAsCommand
            | Self::Cancelled
            | Self::NotOffered { .. }
            | Self::Shape { .. } => false,
        }
    }

    /// Whether it may have happened all the same.
    pub const fn is_outcome_unknown(&self) -> bool {
        matches!(
            self,
            Self::Line(CallError::OutcomeUnknown(_) | CallError::TimedOut(_)) | Self::Unknown(_)
        )
    }

    /// Whether nothing more can be done with this gateway: its line was closed for good.
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Line(CallError::NotSent(NotSent::Closed)))
    }

    /// When the gateway wants to be asked again, as it stands on the wire (unbounded).
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rejected(rejected) => rejected.error.retry_after,
            _ => None,
        }
    }
}

impl Advise for ControlError {
    fn advice(&self) -> Advice {
        match self {
            Self::Rejected(rejected) if releases::include_owned(&rejected.error) => Advice::new(
                format!("{}.", capitalised(&rejected.to_string())),
                "Edit the included file on the gateway's host, or take the $include out of its configuration.",
            ),
            Self::Rejected(rejected) => rejected.error.advice(),
            Self::Line(call) => line(call),
            Self::NotFound(thing) => Advice::new(
                format!("The gateway has no {thing}."),
                "Provision the agent again, or remove its record if it is not wanted any more.",
            ),
            Self::NotAllowed(thing) => Advice::new(
                format!("The gateway does not allow this for {thing}."),
                "Delete the agent instead: its main session goes with it.",
            ),
            Self::Invalid { why } => Advice::new(
                format!("{}.", capitalised(why)),
                "Correct the agent's record: ids are lower-case letters, digits and dashes.",
            ),
            Self::TakenAsCommand => Advice::new(
                "The gateway took the message for a command of its own and did not give it to the agent.",
                "Say it in other words: a message that is nothing but stop or abort, or begins with a slash, is a command.",
            ),
            Self::SessionBusy { session } => Advice::new(
                format!("A run goes on in session {session}."),
                "Wait for the run to end, or abort it.",
            ),
            Self::Cancelled => Advice::new(
                "The message was cancelled before the agent got it.",
                "Send it again if it is still wanted.",
            ),
            Self::Unknown(doubt) => Advice::new(
                format!("Whether the message arrived is not known: {doubt}."),
                "Start the operation again: it looks at the gateway first and repeats only what is missing.",
            ),
            Self::NotOffered { method } => Advice::new(
                format!("This gateway has no {method}."),
                "Update the gateway, or do without.",
            ),
            Self::Shape { method, .. } => Advice::new(
                format!("The gateway's answer to {method} is not understood."),
                "Compare the gateway's release with the supported ones, and report this with its number.",
            ),
            Self::Config(fault) => fault.advice(),
        }
    }
}

impl Advise for ConfigFault {
    fn advice(&self) -> Advice {
        let summary = format!("{}.", capitalised(&self.to_string()));
        let next_step = match self {
            Self::Contended { .. } => "Look for another program that writes this gateway's configuration all the time.",
            Self::Unreadable { .. } => "Correct that place in the gateway's configuration: openclaw doctor helps.",
            Self::NoRoster => "Compare the gateway's release with the supported ones.",
            Self::NotBefore { .. } => "Run it again then; its other writers count as well.",
            Self::QueueFull { .. } => "Provision fewer agents at once, or in one call.",
            Self::Abandoned => "Start the operation again.",
        };
        Advice::new(summary, next_step)
    }
}

fn line(call: &CallError) -> Advice {
    match call {
        CallError::NotSent(NotSent::Closed) => Advice::new(
            "This gateway's line was closed for good.",
            "Add the gateway again if it is still wanted.",
        ),
        CallError::NotSent(NotSent::TooLarge { size, limit }) => Advice::new(
            format!("The gateway takes {limit} bytes at once, and this needs {size}."),
            "Shorten the texts, or update the gateway: releases before 2026.2 take 512 KiB.",
        ),
        CallError::NotSent(_) => Advice::new(
            format!("{}.", capitalised(&call.to_string())),
            "Nothing to do if the line comes back by itself; its status tells why it is down.",
        ),
        CallError::OutcomeUnknown(_) | CallError::TimedOut(_) => Advice::new(
            format!("{}.", capitalised(&call.to_string())),
            "Start the operation again: it looks at the gateway first and repeats only what is missing.",
        ),
        CallError::Rejected(rejected) => rejected.error.advice(),
        // The enum is open to new ends of a call.
        _ => Advice::new(
            format!("{}.", capitalised(&call.to_string())),
            "Start the operation again.",
        ),
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
