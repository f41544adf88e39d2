//! The error of an operation: a code for programs, two sentences for people.

use std::time::Duration;

use windlass::agents::{ControlError, CoordinationError};
use windlass::{CallError, GatewayId, NotSent, RegistryError};
use windlass_protocol::{Advice, Advise as _};
use windlass_store::StoreError;

/// The class of an error. A front maps it to its own form: the HTTP status, the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OperationErrorCode {
    /// A member of the input is not acceptable.
    Invalid,
    /// The caller did not prove an identity.
    Unauthenticated,
    /// The caller has no right to do this.
    Forbidden,
    /// A record or a gateway that the input names does not exist.
    NotFound,
    /// The state of a record does not allow this now.
    Conflict,
    /// The caller or the service has reached a bound.
    TooMany,
    /// The gateway answered with an error. It did not execute the request.
    Rejected,
    /// The gateway never got the request. Sending it again is safe.
    NotSent,
    /// The gateway may have executed the request, and no answer came.
    OutcomeUnknown,
    /// No answer came within the deadline. The gateway may still execute the request.
    TimedOut,
    /// The service can't do this now: the store is busy, full or closed, or the service ends.
    Unavailable,
    /// A fault of the service.
    Internal,
}

impl OperationErrorCode {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::TooMany,
        Self::Rejected,
        Self::NotSent,
        Self::OutcomeUnknown,
        Self::TimedOut,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The word by which programs know it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooMany => "too_many",
            Self::Rejected => "rejected",
            Self::NotSent => "not_sent",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::TimedOut => "timed_out",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// The gateway's own words, where the gateway refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayWords {
    /// The gateway's code, for example `INVALID_REQUEST`.
    pub code: String,
    /// The gateway's message, without control characters.
    pub message: String,
}

/// Why an operation did not do its work. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{summary} {next_step}")]
pub struct OperationError {
    /// Its class.
    pub code: OperationErrorCode,
    /// The problem, as a sentence.
    pub summary: String,
    /// The next step, as a sentence; empty where there is none.
    pub next_step: String,
    /// The member of the input that the problem is about, for example `name`.
    pub field: Option<String>,
    /// The gateway's own words.
    pub gateway: Option<Box<GatewayWords>>,
    /// The time after which the same request may succeed.
    pub retry_after: Option<Duration>,
}

impl OperationError {
    /// An error of this class.
    pub fn new(code: OperationErrorCode, summary: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self {
            code,
            summary: sentence(&summary.into()),
            next_step: next_step.into(),
            field: None,
            gateway: None,
            retry_after: None,
        }
    }

    /// A member of the input that is not acceptable.
    pub fn invalid(field: impl Into<String>, why: impl Into<String>) -> Self {
        let field = field.into();
        Self {
            field: Some(field.clone()),
            ..Self::new(
                OperationErrorCode::Invalid,
                format!("{field} {}", why.into()),
                "Correct this member and send the request again.",
            )
        }
    }

    /// A record that does not exist.
    pub fn not_found(kind: &str, name: &str) -> Self {
        Self::new(
            OperationErrorCode::NotFound,
            format!("There is no {kind} {name:?}"),
            format!("List what there is: GET /api/v1/{kind}s."),
        )
    }

    /// The same, with the time after which it may succeed.
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    fn of_advice(code: OperationErrorCode, advice: Advice) -> Self {
        Self::new(code, advice.summary, advice.next_step)
    }
}

/// The text with a capital letter at its beginning and one full stop at its end.
fn sentence(text: &str) -> String {
    let trimmed = text.trim_end_matches(['.', ' ']);
    let mut letters = trimmed.chars();
    let first: String = letters.next().map(char::to_uppercase).into_iter().flatten().collect();
    format!("{first}{}.", letters.as_str())
}

/// The longest wait that is passed on: a gateway may name any time.
const LONGEST_RETRY: Duration = Duration::from_secs(3600);

/// The time after which a busy store is asked again.
const STORE_RETRY: Duration = Duration::from_secs(1);

impl From<StoreError> for OperationError {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match &error {
            StoreError::Invalid { field, why } => {
                let member = field.split_once('.').map_or(*field, |(_, member)| member);
                Self::invalid(member, why.clone())
            }
            StoreError::NameTaken { .. } => Self {
                field: Some("name".into()),
                ..Self::new(OperationErrorCode::Conflict, text, "Choose another name.")
            },
            StoreError::Unknown { .. } => {
                Self::new(OperationErrorCode::NotFound, text, "List the records that there are.")
            }
            StoreError::Conflict { .. } => Self::new(
                OperationErrorCode::Conflict,
                text,
                "Read the record and send the change again.",
            ),
            StoreError::LimitReached { .. }
            | StoreError::AlreadyHasLead { .. }
            | StoreError::AlreadyHasMain { .. }
            | StoreError::SessionTaken { .. }
            | StoreError::InUse { .. }
            | StoreError::RunActive { .. }
            | StoreError::RunEnded { .. }
            | StoreError::SendEnded { .. }
            | StoreError::Exists { .. } => Self::new(OperationErrorCode::Conflict, text, ""),
            StoreError::TooMany { .. } => Self::new(
                OperationErrorCode::TooMany,
                text,
                "Ask for those of one gateway or board.",
            ),
            StoreError::Busy => Self::new(OperationErrorCode::Unavailable, text, "Send the request again.")
                .with_retry_after(STORE_RETRY),
            StoreError::Full => Self::new(
                OperationErrorCode::Unavailable,
                text,
                "Make room on the disk of the service.",
            ),
            StoreError::Closed => Self::new(
                OperationErrorCode::Unavailable,
                "The service ends",
                "Send the request again later.",
            ),
            _ => Self::new(OperationErrorCode::Internal, text, "Look into the log of the service."),
        }
    }
}

impl From<CallError> for OperationError {
    fn from(error: CallError) -> Self {
        match &error {
            CallError::Rejected(rejected) => Self {
                gateway: Some(Box::new(GatewayWords {
                    code: rejected.error.code.as_str().to_owned(),
                    message: rejected.error.to_string(),
                })),
                retry_after: rejected.error.retry_after.map(|wait| wait.min(LONGEST_RETRY)),
                ..Self::of_advice(OperationErrorCode::Rejected, rejected.error.advice())
            },
            CallError::NotSent(NotSent::Invalid { why }) => Self::invalid("params", why.clone()),
            CallError::NotSent(NotSent::TooLarge { .. }) => Self {
                field: Some("params".into()),
                ..Self::new(OperationErrorCode::Invalid, error.to_string(), "")
            },
            CallError::NotSent(NotSent::QueueFull { .. }) => {
                Self::new(OperationErrorCode::TooMany, error.to_string(), "")
            }
            CallError::NotSent(_) => Self::new(OperationErrorCode::NotSent, error.to_string(), ""),
            CallError::OutcomeUnknown(_) => Self::new(OperationErrorCode::OutcomeUnknown, error.to_string(), ""),
            CallError::TimedOut(_) => Self::new(OperationErrorCode::TimedOut, error.to_string(), ""),
            _ => Self::new(OperationErrorCode::Internal, error.to_string(), ""),
        }
    }
}

impl From<ControlError> for OperationError {
    fn from(error: ControlError) -> Self {
        let advice = error.advice();
        match error {
            ControlError::Rejected(rejected) => CallError::Rejected(rejected).into(),
            ControlError::Line(call) => call.into(),
            ControlError::NotFound(_) => Self::of_advice(OperationErrorCode::NotFound, advice),
            ControlError::SessionBusy { .. } => Self::of_advice(OperationErrorCode::Conflict, advice),
            ControlError::Unknown(_) => Self::of_advice(OperationErrorCode::OutcomeUnknown, advice),
            _ => Self::of_advice(OperationErrorCode::Rejected, advice),
        }
    }
}

impl From<CoordinationError> for OperationError {
    fn from(error: CoordinationError) -> Self {
        let (text, next_step) = (error.to_string(), error.next_step());
        match error {
            CoordinationError::Store(store) => store.into(),
            CoordinationError::Gateway(control) => control.into(),
            CoordinationError::Invalid { field, why } => Self::invalid(field, why),
            CoordinationError::Forbidden(_) => Self::new(OperationErrorCode::Forbidden, text, next_step),
            CoordinationError::NoAgent(_)
            | CoordinationError::NoBoard(_)
            | CoordinationError::NoGateway(_)
            | CoordinationError::NoSoul => Self::new(OperationErrorCode::NotFound, text, next_step),
            CoordinationError::TooLate { .. } => Self::new(OperationErrorCode::TimedOut, text, next_step),
            CoordinationError::Interrupted(_) => Self::new(OperationErrorCode::Unavailable, text, next_step),
            _ => Self::new(OperationErrorCode::Conflict, text, next_step),
        }
    }
}

impl OperationError {
    /// The error of an operation on the registry of lines.
    pub fn of_registry(error: &RegistryError, gateway: &GatewayId) -> Self {
        match error {
            RegistryError::NotThere(_) => Self::not_found("gateway", gateway.as_str()),
            RegistryError::AlreadyThere(_) => Self::new(OperationErrorCode::Conflict, error.to_string(), ""),
            _ => Self::new(
                OperationErrorCode::Unavailable,
                "The service ends",
                "Send the request again later.",
            ),
        }
    }
}
