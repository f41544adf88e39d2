//! Tokens of people and programs that call the service.

use serde::Serialize;

use super::named;
use crate::backend::check;
use crate::error::StoreError;
use crate::limits;
use crate::values::{ApiTokenId, Timestamp};

named! {
    /// The rights of a token, as a name.
    ApiRole, "role" {
        /// Reads everything.
        Viewer = "viewer",
        /// Reads, sends messages, provisions agents.
        Operator = "operator",
        /// Reads, and resolves approvals and pairings.
        Approver = "approver",
        /// Does everything.
        Admin = "admin",
    }
}

/// A token of a person or program. `Debug` shows nothing of its hash, and there is no `Serialize` of the hash.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ApiTokenRecord {
    /// Its id.
    pub id: ApiTokenId,
    /// Its name: unique, ignoring case.
    pub name: String,
    /// Its rights.
    pub role: ApiRole,
    /// The SHA-256 of the token, by which it is found. A token is 256 random bits, so no slow hash is needed.
    #[serde(skip)]
    pub hash: [u8; 32],
    /// The time at which it was made.
    pub created_at: Timestamp,
    /// The time from which on it is not accepted.
    pub expires_at: Option<Timestamp>,
    /// The time of its last use, within a minute.
    pub last_used_at: Option<Timestamp>,
    /// The time at which it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl ApiTokenRecord {
    /// Checks the fields, before it is written.
    pub fn check(&self) -> Result<(), StoreError> {
        check::name("token.name", &self.name, limits::NAME_CHARS)
    }

    /// Whether it is accepted at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

impl std::fmt::Debug for ApiTokenRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiTokenRecord")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
