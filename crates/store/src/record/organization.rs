//! Organizations and who owns them.

use serde::{Deserialize, Serialize};

use crate::backend::check;
use crate::error::StoreError;
use crate::id::OrganizationId;
use crate::limits;

/// An organization: owns gateways and boards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// The person that its agents work for.
    pub owner: Owner,
}

/// The profile of the person that agents work for; it becomes part of their USER.md.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Owner {
    /// The full name.
    pub name: Option<String>,
    /// How to address the person.
    pub preferred_name: Option<String>,
    /// An address.
    pub email: Option<String>,
    /// The pronouns.
    pub pronouns: Option<String>,
    /// The time zone, for example `Europe/Vienna`.
    pub timezone: Option<String>,
    /// Notes on the person.
    pub notes: Option<String>,
    /// What the person works on.
    pub context: Option<String>,
}

impl Organization {
    pub fn check(&self) -> Result<(), StoreError> {
        check::name("organization.name", &self.name, limits::NAME_CHARS)?;
        let owner = &self.owner;
        for (field, text, limit) in [
            ("owner.name", &owner.name, limits::SHORT_CHARS),
            ("owner.preferred_name", &owner.preferred_name, limits::SHORT_CHARS),
            ("owner.email", &owner.email, limits::SHORT_CHARS),
            ("owner.pronouns", &owner.pronouns, limits::SHORT_CHARS),
            ("owner.timezone", &owner.timezone, limits::SHORT_CHARS),
            ("owner.notes", &owner.notes, limits::TEXT_CHARS),
            ("owner.context", &owner.context, limits::TEXT_CHARS),
        ] {
            check::optional(field, text.as_ref(), limit)?;
        }
        Ok(())
    }
}
