//! Callers and their rights.
//!
//! The rights of the service are the scopes of the gateway protocol. A role is a set of scopes. The scope of a raw call is the one in
//! the method table of the protocol.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use windlass_protocol as protocol;
use windlass_store::ApiRole;

use crate::error::{OperationError, OperationErrorCode};

/// A right of a caller, with the name that the gateway protocol has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Read gateways, sessions, agents, events.
    Read,
    /// Send messages, stop runs, provision agents.
    Write,
    /// Resolve approvals.
    Approvals,
    /// Resolve pairings of devices, nodes and channels.
    Pairing,
    /// Change gateways, their configuration, and the tokens of the service.
    Admin,
}

impl Scope {
    /// Its name, as in the gateway protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "operator.read",
            Self::Write => "operator.write",
            Self::Approvals => "operator.approvals",
            Self::Pairing => "operator.pairing",
            Self::Admin => "operator.admin",
        }
    }

    /// The scope that stands for a scope of the protocol. Questions are answered with the right to resolve approvals; a scope that the
    /// service does not know takes the largest one.
    pub fn of_protocol(scope: &protocol::Scope) -> Self {
        match scope {
            protocol::Scope::Read => Self::Read,
            protocol::Scope::Write | protocol::Scope::Talk => Self::Write,
            protocol::Scope::Approvals | protocol::Scope::Questions => Self::Approvals,
            protocol::Scope::Pairing => Self::Pairing,
            _ => Self::Admin,
        }
    }
}

/// A set of rights with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything.
    Viewer,
    /// Reads, sends messages, provisions agents.
    Operator,
    /// Reads, and resolves approvals and pairings.
    Approver,
    /// Does everything.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// The role as a store keeps it.
    pub const fn stored(self) -> ApiRole {
        match self {
            Self::Viewer => ApiRole::Viewer,
            Self::Operator => ApiRole::Operator,
            Self::Approver => ApiRole::Approver,
            Self::Admin => ApiRole::Admin,
        }
    }

    /// The role that a store keeps.
    pub const fn of_stored(role: ApiRole) -> Self {
        match role {
            ApiRole::Viewer => Self::Viewer,
            ApiRole::Operator => Self::Operator,
            ApiRole::Approver => Self::Approver,
            ApiRole::Admin => Self::Admin,
        }
    }

    /// Its rights.
    pub const fn scopes(self) -> &'static [Scope] {
        match self {
            Self::Viewer => &[Scope::Read],
            Self::Operator => &[Scope::Read, Scope::Write],
            Self::Approver => &[Scope::Read, Scope::Approvals, Scope::Pairing],
            Self::Admin => &[
                Scope::Read,
                Scope::Write,
                Scope::Approvals,
                Scope::Pairing,
                Scope::Admin,
            ],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is not a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a role: viewer, operator, approver or admin")]
pub struct InvalidRole;

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(InvalidRole)
    }
}

/// The front by which a caller came. It is part of the audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Front {
    /// The HTTP interface.
    Api,
    /// The operators' page.
    ListPage,
    /// The command line.
    Cli,
    /// An agent.
    Agent,
}

impl Front {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::ListPage => "page",
            Self::Cli => "cli",
            Self::Agent => "agent",
        }
    }
}

/// A person or program that asks for an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its name, for the audit trail: the name of its token, or of the person.
    pub name: String,
    /// Its rights.
    pub role: Role,
    /// The front by which it came.
    pub source: Front,
}

impl Caller {
    /// A caller by its parts.
    pub fn new(name: impl Into<String>, role: Role, source: Front) -> Self {
        Self {
            name: name.into(),
            role,
            source,
        }
    }

    /// Checks that the caller has a right.
    ///
    /// # Errors
    /// [`OperationErrorCode::Forbidden`]. The error names the scope that is missing.
    pub fn require(&self, scope: Scope) -> Result<(), OperationError> {
        if self.role.scopes().contains(&scope) {
            return Ok(());
        }
        Err(OperationError::new(
            OperationErrorCode::Forbidden,
            format!("The role {} lacks the scope {}", self.role, scope.as_str()),
            "Use a token with a role that has this scope: windlass tokens create.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_refused_a_scope_that_it_lacks_and_the_error_names_the_scope() {
        let viewer = Caller::new("grafana", Role::Viewer, Front::Api);
        assert_eq!(viewer.require(Scope::Read), Ok(()));
        let error = viewer.require(Scope::Write).unwrap_err();
        assert_eq!(error.code, OperationErrorCode::Forbidden);
        assert!(error.summary.contains("operator.write"), "{error}");
    }

    #[test]
    fn every_scope_of_the_protocol_has_a_scope_of_the_service() {
        for row in protocol::methods() {
            if let Some(scope) = &row.scope {
                assert!(
                    Role::Admin.scopes().contains(&Scope::of_protocol(scope)),
                    "{}",
                    row.name
                );
            }
        }
    }
}
