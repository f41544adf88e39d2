//! Ids of records: UUIDs, a type each, so that one kind can't stand where another is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};
use windlass_protocol::GatewayId;

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

impl GatewayUid {
    /// Under which id what belongs to a line is kept: the record's, for a line that is named after its record, and one made of
    /// the name (version 8, the beginning of its SHA-256) for any other, so that every process finds the same.
    pub fn of_line(line: &GatewayId) -> Self {
        let named = || {
            let digest = Sha256::digest(line.as_str());
            let mut head = [0; 16];
            head.copy_from_slice(&digest[..16]);
            Builder::from_custom_bytes(head).into_uuid()
        };
        Self(Uuid::try_parse(line.as_str()).unwrap_or_else(|_| named()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_kept_under_its_records_id_or_under_one_of_its_name() {
        let line = |name: &str| GatewayUid::of_line(&GatewayId::new(name).unwrap());
        let record = GatewayUid::from_bytes([7; 16]);
        assert_eq!(line(&record.to_string()), record);
        assert_eq!(line("lab").to_string(), "a51146d3-8077-8f99-aeba-84cf1d5e9b24");
        assert_ne!(line("lab"), line("Lab"));
    }

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
