//! The connections of a store: one that writes, and a few that read beside it.
//!
//! SQLite takes one writer at a time, so one connection writes and callers queue for it in memory, where waiting is fair and free.
//! Readers are connections of their own: while a commit waits for the disk, they read the committed state (WAL).
//!
//! No pool from a library: their deadlines are the runtime's timers, which under a paused clock run out while the disk works. Here
//! every wait is bounded by SQLite's own busy timeout.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sqlx::{ConnectOptions as _, Connection as _, Executor as _, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};
use windlass_store::StoreError;

use crate::error;
use crate::migrations::Schema;
use crate::open::{SqliteOptions, connect_options};

/// Connections that only read: one for a long list, one for the short questions beside it.
const READERS: usize = 2;

/// A connection, or none where it has to be made anew.
type ConnectionSlot = Mutex<Option<SqliteConnection>>;

pub(crate) struct Connections {
    path: PathBuf,
    options: SqliteOptions,
    schema: &'static Schema,
    writer: ConnectionSlot,
    readers: [ConnectionSlot; READERS],
    next_reader: AtomicUsize,
    is_closed: AtomicBool,
}

impl Connections {
    pub(crate) fn new(
        path: PathBuf,
        options: SqliteOptions,
        schema: &'static Schema,
        writer: SqliteConnection,
    ) -> Self {
        Self {
            path,
            options,
            schema,
            writer: Mutex::new(Some(writer)),
            readers: Default::default(),
            next_reader: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    pub(crate) fn options(&self) -> &SqliteOptions {
        &self.options
    }

    pub(crate) fn check_open(&self) -> Result<(), StoreError> {
        if self.is_closed.load(Ordering::Acquire) {
            Err(StoreError::Closed)
        } else {
            Ok(())
        }
    }

    /// A transaction that writes. It has the database's write lock from its beginning, so that no other process changes the rows that
    /// it reads before it writes.
    pub(crate) async fn write(&self) -> Result<Transaction<'_>, StoreError> {
        self.begin(self.writer.lock().await, false).await
    }

    /// A transaction that only reads: all that it reads is of one moment.
    pub(crate) async fn snapshot(&self) -> Result<Transaction<'_>, StoreError> {
        self.begin(self.free_reader().await, true).await
    }

    async fn begin<'a>(
        &'a self,
        mut slot: MutexGuard<'a, Option<SqliteConnection>>,
        only_reads: bool,
    ) -> Result<Transaction<'a>, StoreError> {
        self.check_open()?;
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => self.connect(only_reads).await?,
        };
        let begin = if only_reads { "BEGIN" } else { "BEGIN IMMEDIATE" };
        match connection.execute(begin).await {
            Ok(_) => Ok(Transaction { slot, connection }),
            Err(error) => {
                // Nothing was begun, unless the file itself fails; then the next call tries with a new connection.
                let error = error::of_call(&error);
                if error.is_transient() {
                    *slot = Some(connection);
                }
                Err(error)
            }
        }
    }

    /// A connection to ask one question.
    pub(crate) async fn read(&self) -> Result<Read<'_>, StoreError> {
        let mut slot = self.free_reader().await;
        self.check_open()?;
        if slot.is_none() {
            *slot = Some(self.connect(true).await?);
        }
        Ok(Read { slot })
    }

    async fn free_reader(&self) -> MutexGuard<'_, Option<SqliteConnection>> {
        if let Some(slot) = self.readers.iter().find_map(|reader| reader.try_lock().ok()) {
            return slot;
        }
        let next = self.next_reader.fetch_add(1, Ordering::Relaxed);
        self.readers[next % READERS].lock().await
    }

    async fn connect(&self, only_reads: bool) -> Result<SqliteConnection, StoreError> {
        let mut options = connect_options(&self.path, &self.options, self.schema);
        if only_reads {
            options = options.pragma("query_only", "ON");
        }
        options.connect().await.map_err(|error| error::of_call(&error))
    }

    /// Waits for the calls under way, then closes. The last connection to close puts the log into the file.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        self.is_closed.store(true, Ordering::Release);
        for slot in self.readers.iter().chain([&self.writer]) {
            if let Some(connection) = slot.lock().await.take() {
                connection.close().await.map_err(|error| error::of_call(&error))?;
            }
        }
        Ok(())
    }
}

/// A transaction. Dropped before [`Transaction::finish`] (its caller was cancelled), its connection goes with it, and SQLite undoes it.
pub(crate) struct Transaction<'a> {
    slot: MutexGuard<'a, Option<SqliteConnection>>,
    connection: SqliteConnection,
}

impl Transaction<'_> {
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Commits after a success and rolls back after an error. The connection is kept only if it is known to be outside of a
    /// transaction: after some failures (no room, no disk) SQLite has rolled back by itself, and the connection's own view of that is
    /// not reliable.
    pub(crate) async fn finish<T>(mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let error = match result {
            Ok(value) => match self.connection.execute("COMMIT").await {
                Ok(_) => {
                    *self.slot = Some(self.connection);
                    return Ok(value);
                }
                Err(error) => error::of_call(&error),
            },
            Err(error) => error,
        };
        match self.connection.execute("ROLLBACK").await {
            Ok(_) => *self.slot = Some(self.connection),
            // Closed before the next one opens: otherwise that might wait for this one's locks.
            Err(_) => drop(self.connection.close().await),
        }
        Err(error)
    }
}

/// A connection that only reads.
pub(crate) struct Read<'a> {
    slot: MutexGuard<'a, Option<SqliteConnection>>,
}

impl Read<'_> {
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        self.slot
            .as_mut()
            .expect("Connections::read fills the slot before it hands it out")
    }
}
