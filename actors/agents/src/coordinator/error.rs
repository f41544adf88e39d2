//! One error for all that can go wrong, with the status that an API in front of it answers.

use std::time::Duration;

use windlass_protocol::Advise as _;
use windlass_store::resolver::ResolveError;
use windlass_store::{AgentUid, BoardId, GatewayUid, StoreError};
use windlass_templates::TemplateError;

use super::policy::Forbidden;
use crate::control_plane::ControlError;
use crate::provisioner::{EnsureError, Failure, Interrupted};

/// Why something was not said or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoordinationError {
    /// There is no such agent.
    #[error("there is no agent {0}")]
    NoAgent(AgentUid),
    /// There is no such board.
    #[error("there is no board {0}")]
    NoBoard(BoardId),
    /// There is no such gateway.
    #[error("there is no gateway {0}")]
    NoGateway(GatewayUid),
    /// The gateway has no agent of its own yet.
    #[error("gateway {0} has no agent of its own yet: ensure it first")]
    NoMainAgent(GatewayUid),
    /// The agent's file is not there.
    #[error("the agent has no SOUL.md on its gateway yet: provision it first")]
    NoSoul,
    /// It is not allowed.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The records don't fit together.
    #[error(transparent)]
    Resolve(ResolveError),
    /// An argument is not acceptable.
    #[error("{field} {why}")]
    Invalid {
        /// The argument.
        field: &'static str,
        /// The fault.
        why: String,
    },
    /// The message's template fails.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The lead could not be brought to life.
    #[error("the board's lead could not be brought to life: {0}")]
    Lead(Box<Failure>),
    /// The gateway failed, or refused.
    #[error(transparent)]
    Gateway(#[from] ControlError),
    /// It took longer than its budget; a message on its way may have arrived.
    #[error("no answer from the gateway within {} s", after.as_secs())]
    TooLate {
        /// So long.
        after: Duration,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The coordinator is gone.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl CoordinationError {
    /// The HTTP status that says the same: 404 missing, 403 forbidden, 409 conflict, 422 invalid, 502 the gateway failed, 503
    /// this service is stopping, 500 the store failed.
    pub const fn status(&self) -> u16 {
        match self {
            Self::NoAgent(_) | Self::NoBoard(_) | Self::NoGateway(_) | Self::NoSoul => 404,
            Self::Resolve(error) => resolve_status(error),
            Self::Forbidden(_) => 403,
            Self::NoMainAgent(_) => 409,
            Self::Invalid { .. } | Self::Template(_) => 422,
            Self::Lead(_) | Self::Gateway(_) | Self::TooLate { .. } => 502,
            Self::Store(error) => store_status(error),
            Self::Interrupted(_) => 503,
        }
    }

    /// The next step of an operator.
    pub fn next_step(&self) -> String {
        match self {
            Self::Gateway(error) => error.advice().next_step.into_owned(),
            Self::Lead(failure) => failure.next_step.clone(),
            Self::NoAgent(_) | Self::NoBoard(_) | Self::NoGateway(_) => "Compare the id with the records.".into(),
            Self::NoMainAgent(_) => "Provision the gateway's own agent.".into(),
            Self::NoSoul => "Provision the agent.".into(),
            Self::Forbidden(_) => "Ask on behalf of somebody who may.".into(),
            Self::Resolve(_) => "Correct the record of the board or the gateway.".into(),
            Self::TooLate { .. } => "Say it again under the same correlation id: it is heard once.".into(),
            Self::Invalid { .. } => "Correct it and try again.".into(),
            Self::Template(_) => "Correct the template of this message.".into(),
            Self::Store(_) => "Look at the store.".into(),
            Self::Interrupted(_) => "Try again when the service is up.".into(),
        }
    }
}

impl From<ResolveError> for CoordinationError {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::BoardUnknown { board } => Self::NoBoard(board),
            ResolveError::GatewayUnknown { gateway } => Self::NoGateway(gateway),
            ResolveError::Store(error) => Self::Store(error),
            other => Self::Resolve(other),
        }
    }
}

impl From<EnsureError> for CoordinationError {
    fn from(error: EnsureError) -> Self {
        match error {
            EnsureError::Resolve(error) => error.into(),
            EnsureError::Store(error) => Self::Store(error),
            EnsureError::Interrupted(error) => Self::Interrupted(error),
        }
    }
}

const fn resolve_status(error: &ResolveError) -> u16 {
    match error {
        ResolveError::BoardUnknown { .. } | ResolveError::GatewayUnknown { .. } => 404,
        ResolveError::OtherOrganization { .. } => 403,
        ResolveError::BoardWithoutGateway { .. } => 409,
        ResolveError::UrlMissing { .. } | ResolveError::WorkspaceRootMissing { .. } => 422,
        ResolveError::Store(_) => 500,
    }
}

const fn store_status(error: &StoreError) -> u16 {
    match error {
        StoreError::Conflict { .. } => 409,
        StoreError::Invalid { .. } => 422,
        _ => 500,
    }
}
