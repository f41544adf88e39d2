//! The records and the journal of [`windlass_store`] in a SQLite database.
//!
//! ```no_run
//! use windlass_store::Organizations as _;
//! use windlass_store_sqlite::SqliteStore;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let store = SqliteStore::open("windlass.db").await?;
//! for organization in store.organizations().await? {
//!     println!("{}", organization.name);
//! }
//! # Ok(())
//! # }
//! ```

mod agents;
mod connections;
mod error;
mod journal;
mod lock;
mod migrations;
mod open;
mod organizations;
mod rows;
mod runs;
mod sends;
mod service;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use async_trait::async_trait;
use tokio::sync::OnceCell;
use windlass_store::{OwnError, Ownership, Right, Store, StoreError};

use self::connections::Connections;

pub use self::error::{LockError, OpenError};
pub use self::migrations::Renamed;
pub use self::open::SqliteOptions;

/// A store in a SQLite database: one file, and beside it, while it is open, its log (`-wal`, `-shm`) and its lock (`.lock`).
///
/// The journal is another database beside it (`.journal`), made when it is first used. It has a file of its own because it grows
/// with the traffic of a fleet, and the records do not: backups and checks of the records stay short, the journal does not take
/// their room, a step of provisioning does not wait for a batch of events, and damage to the journal does not affect the records.
/// No transaction needs both.
///
/// The effect of a call is on the disk when the call returns. Works from any runtime: SQLite runs on threads of its own.
pub struct SqliteStore {
    connections: Connections,
    journal: OnceCell<Connections>,
    renamed: Vec<Renamed>,
}

impl SqliteStore {
    /// Opens a database, or makes it (readable by its owner only), and brings it up to date.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, SqliteOptions::default()).await
    }

    /// The same, with options.
    pub async fn open_with(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, OpenError> {
        let path = open::create(path.as_ref())?;
        let (writer, renamed) = open::prepare(&path, &options, &migrations::RECORDS).await?;
        Ok(Self {
            connections: Connections::new(path, options, &migrations::RECORDS, writer),
            journal: OnceCell::new(),
            renamed,
        })
    }

    /// The gateways and boards that opening has given another name; none unless the store is of an earlier version, in which
    /// names were not unique.
    pub fn renamed(&self) -> &[Renamed] {
        &self.renamed
    }

    /// The database's file, by its full path.
    pub fn path(&self) -> &Path {
        self.connections.path()
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn own(&self) -> Result<Ownership, OwnError> {
        lock::own(self.path(), Right::Agents)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.connections.close().await?;
        match self.journal.get() {
            Some(journal) => journal.close().await,
            None => Ok(()),
        }
    }
}
