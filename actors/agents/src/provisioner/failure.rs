//! Why a step failed, and what an operator reads of it.

use windlass_protocol::Advise as _;
use windlass_store::resolver::ResolveError;
use windlass_store::{StepName, StoreError};
use windlass_templates::TemplateError;

use super::records::AgentRecordsError;
use super::report::Failure;
use crate::control_plane::ControlError;

/// A step that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) step: StepName,
    pub(crate) why: Why,
}

impl Failed {
    /// Whether the agent's record was changed since it was read.
    pub(crate) const fn is_conflict(&self) -> bool {
        matches!(self.why, Why::Store(StoreError::Conflict { .. }))
    }
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Why {
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error("there is no such agent")]
    Gone,
    #[error("no AUTH_TOKEN was found in the agent's {file}")]
    TokenMissing { file: String },
    #[error("the gateway does not take a lead's {file}")]
    FileRefused { file: String },
    #[error("the gateway stopped answering while other agents were worked on")]
    GatewayLost,
}

impl Failed {
    pub(crate) fn at(step: StepName, why: impl Into<Why>) -> Self {
        Self { step, why: why.into() }
    }

    /// Whether it was the gateway and not this agent: a passing trouble that outlasted the retries.
    pub(crate) fn is_transient(&self) -> bool {
        match &self.why {
            Why::Control(error) => error.is_transient() || error.is_closed(),
            Why::GatewayLost => true,
            _ => false,
        }
    }

    pub(crate) fn explain(&self) -> Failure {
        let (summary, next_step) = match &self.why {
            Why::Control(error) => {
                let advice = error.advice();
                (format!("{error}"), advice.next_step.into_owned())
            }
            other => (other.to_string(), other.next_step().to_owned()),
        };
        Failure {
            step: self.step,
            summary,
            next_step,
            transient: self.is_transient(),
        }
    }
}

impl Why {
    fn next_step(&self) -> &'static str {
        match self {
            Self::Control(_) => "",
            Self::Store(_) => "Look at the store: what was done on the gateway is found again by the next run.",
            Self::Template(_) => "Correct the template; nothing was written for this agent.",
            Self::Resolve(_) => "Correct the record of the board or the gateway.",
            Self::Gone => "Add the agent again if it is still wanted.",
            Self::TokenMissing { .. } => "Sync with rotated tokens, which gives the agent a new one.",
            Self::FileRefused { .. } => "Compare the gateway's release with the supported ones.",
            Self::GatewayLost => "Run it again when the gateway is back: it goes on with what is missing.",
        }
    }
}

impl From<AgentRecordsError> for Why {
    fn from(error: AgentRecordsError) -> Self {
        match error {
            AgentRecordsError::Gone => Self::Gone,
            AgentRecordsError::Resolve(error) => Self::Resolve(error),
            AgentRecordsError::Store(error) => Self::Store(error),
        }
    }
}
