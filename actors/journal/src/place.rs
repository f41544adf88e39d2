//! Where a reader of the journal begins.

use windlass_store::{Cursor, Store, StoreError};

/// Where a reader of the journal begins.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// With the oldest entry that is there.
    Start,
    /// Behind this entry.
    After(Cursor),
    /// Behind what is there now.
    Now,
    /// Where this consumer is, by its name: behind what it acknowledged last, and at the start the first time.
    Consumer(String),
}

impl Place {
    /// The entry to begin behind; none for the oldest that is there.
    pub(super) async fn cursor(&self, store: &dyn Store) -> Result<Option<Cursor>, StoreError> {
        match self {
            Self::Start => Ok(None),
            Self::After(cursor) => Ok(Some(*cursor)),
            Self::Now => store.journal_extent().await.map(|extent| extent.newest),
            Self::Consumer(name) => store.acknowledged(name).await,
        }
    }

    /// The consumer that reads, where one does.
    pub(super) fn consumer(self) -> Option<String> {
        match self {
            Self::Consumer(name) => Some(name),
            _ => None,
        }
    }
}
