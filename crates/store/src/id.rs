//! Ids of records: UUIDs, a type each, so that one kind can't stand where another is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

/// A text that is no UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id of a {what} is a UUID, such as 67e55044-10b1-426f-9247-bb680e5fe0c8")]
pub struct InvalidId {
    /// Which record it was to name.
    pub what: &'static str,
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id (version 4) of random bytes.
            pub fn from_bytes(random: [u8; 16]) -> Self {
                Self(Builder::from_random_bytes(random).into_uuid())
            }

            /// An id that is known already.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId { what: $what })
            }
        }
    };
}

id_type!(
    /// An organization.
    OrganizationId,
    "organization"
);
id_type!(
    /// A gateway's record. (The name under which a line is registered is another thing.)
    GatewayUid,
    "gateway"
);
id_type!(
    /// A board.
    BoardId,
    "board"
);
id_type!(
    /// An agent's record. (Its id on the gateway is derived from this, its board's or its gateway's.)
    AgentUid,
    "agent"
);
id_type!(
    /// A lifecycle run.
    RunId,
    "run"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_become_a_version_4_uuid_and_its_text_reads_back() {
        let id = AgentUid::from_bytes([0xff; 16]);
        assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(format!("{id:?}"), "AgentUid(ffffffff-ffff-4fff-bfff-ffffffffffff)");
        assert_eq!(
            serde_json::to_string(&id).unwrap(),
            "\"ffffffff-ffff-4fff-bfff-ffffffffffff\""
        );
    }

    #[test]
    fn a_text_that_is_no_uuid_is_refused_by_what_it_was_to_name() {
        let error = "lead-1".parse::<BoardId>().unwrap_err();
        assert!(error.to_string().starts_with("an id of a board is a UUID"), "{error}");
    }
}
