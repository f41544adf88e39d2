//! The records: plain data, and the rules that need no other record.

mod agent;
mod api_token;
mod board_memory;
mod journal;
mod organization;
mod pruning;
mod reach;
mod run;
mod send;

use std::fmt;

pub use agent::{
    Agent, AgentFilter, AgentRole, AgentStatus, CheckIn, Creator, FileOverride, OFFLINE_AFTER, TOUCH_INTERVAL,
};
pub use api_token::{ApiRole, ApiTokenRecord};
pub use board_memory::{BoardMemoryEntry, BoardMemoryFilter, BoardMemoryPage, CHAT_TAG};
pub use journal::{
    Acknowledged, Appended, Consumer, Entry, EntryLabel, EntryType, Extent, JournalFilter, Lost, NewEntry, Page,
    ReaderId, check_batch,
};
pub use organization::{Board, BoardFilter, BoardRules, Gateway, Organization, Owner, unfit_for_workspaces};
pub use pruning::{
    Aged, CLOCK_STEPS_KEPT, Candidate, ClockStep, Hole, PRUNED_MARKER, PrunePlan, PruneRun, Pruned, Retention,
    SettledRun, Share, corrected, prune_from,
};
pub use reach::{Reach, Window, fitting};
pub use run::{Activity, ActivityFilter, NewActivity, Run, RunKind, RunState, Step, StepName, StepState};
pub use send::{Attempt, ChatSend, Ended, NewSend, SendEnd, SendFilter, SendState};

/// A text that is not a name of an enum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {what}: one of {known}")]
pub struct InvalidName {
    /// The enum, for example "agent status".
    pub what: &'static str,
    /// All its names.
    pub known: String,
}

/// Declares an enum with a name for each variant, which is stored and shown.
macro_rules! named {
    (
        $(#[$doc:meta])* $name:ident, $what:literal {
            $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name, as it is stored and shown.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::record::InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|known| known.as_str() == text).ok_or_else(|| {
                    $crate::record::invalid_name($what, Self::ALL)
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
use named;

fn invalid_name<T: fmt::Display>(what: &'static str, all: &[T]) -> InvalidName {
    let known: Vec<String> = all.iter().map(ToString::to_string).collect();
    InvalidName {
        what,
        known: known.join(", "),
    }
}
