//! How a recorder is.

use std::fmt;
use std::time::SystemTime;

use windlass_store::{Cursor, StoreError};

/// Why the store takes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stall {
    /// Another process has it locked.
    Busy,
    /// The disk, or what the journal may take of it, is full.
    Full,
    /// Something else, for people.
    Failed(Box<str>),
}

impl Stall {
    pub(super) fn of(error: &StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            StoreError::Full => Self::Full,
            other => Self::Failed(with_causes(other).into()),
        }
    }

    /// Whether it is likely to pass within moments.
    pub(super) const fn is_short(&self) -> bool {
        matches!(self, Self::Busy)
    }
}

fn with_causes(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("another process keeps the journal locked"),
            Self::Full => f.write_str("there is no room for the journal: make room, or keep less"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// What a recorder does just now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RecorderState {
    /// It records.
    #[default]
    Recording,
    /// The store takes nothing. It is tried again; meanwhile events wait, and then the oldest are dropped, which is marked.
    Stalled {
        /// Why.
        why: Stall,
        /// Since when.
        since: SystemTime,
    },
    /// It is over.
    Ended,
}

/// All that is known of a recorder at one moment. Counts begin with it and only grow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RecorderStatus {
    /// What it does.
    pub state: RecorderState,
    /// The last entry of the journal that it knows of.
    pub newest: Option<Cursor>,
    /// Entries that it appended.
    pub entries: u64,
    /// Batches that it appended them in: as often the disk was waited for.
    pub batches: u64,
    /// Events and markers that were lost to it, each marked in the journal.
    pub dropped: u64,
    /// Times that the store refused, and was tried again.
    pub retries: u64,
    /// Entries that it pruned.
    pub pruned: u64,
}
