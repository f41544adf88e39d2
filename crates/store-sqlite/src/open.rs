//! Opening a database: is it ours, is it whole, is it of our time; and only then is anything written to it.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};
use windlass_store::limits::PAGE_LIMIT;

use crate::OpenError;
use crate::migrations::Renamed;
use crate::migrations::Schema;
use crate::{error, migrations};

/// The page size of every database that SQLite creates unless told otherwise.
const PAGE_BYTES: u64 = 4096;

/// Where sqlx writes down the migrations that a database has been through.
const BOOK: &str = "_sqlx_migrations";

/// How often opening is tried while another process has the file locked; the waits between the attempts are its busy timeout in all.
/// A new file is made in some milliseconds, and in some tenths of a second on a slow disk.
const OPEN_ATTEMPTS: u32 = 20;

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// How long a call, or opening, waits while another process keeps the database locked. 5 s unless said otherwise; opening may take
    /// twice as long.
    pub busy_timeout: Duration,
    /// The most that the database may grow to, in bytes; beyond it writes end as [`Full`](windlass_store::StoreError::Full). Counted in
    /// pages of 4 KiB, without the log that is written first. No limit unless said otherwise.
    pub max_bytes: Option<u64>,
    /// The same for the journal, which is a file of its own.
    pub journal_max_bytes: Option<u64>,
    /// Whether the whole file is checked when it is opened. It is, unless said otherwise: two seconds for a gigabyte.
    pub check: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(5),
            max_bytes: None,
            journal_max_bytes: None,
            check: true,
        }
    }
}

impl SqliteOptions {
    /// How the journal's file is opened.
    pub(crate) fn for_journal(&self) -> Self {
        Self {
            max_bytes: self.journal_max_bytes,
            ..self.clone()
        }
    }
}

/// The settings of each connection. `synchronous = FULL` syncs the log at every commit: a step that was reported done survives a
/// power cut. Rows are handed over a page at a time and not fifty: all are collected anyway, and each hand-over wakes a task (a third
/// faster, measured with small entries of the journal).
pub(crate) fn connect_options(path: &Path, options: &SqliteOptions, schema: &Schema) -> SqliteConnectOptions {
    let mut connect = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(options.busy_timeout)
        .row_buffer_size(PAGE_LIMIT)
        .pragma("wal_autocheckpoint", schema.checkpoint_pages.to_string())
        .disable_statement_logging();
    if let Some(bytes) = options.max_bytes {
        connect = connect.pragma("max_page_count", (bytes / PAGE_BYTES).max(1).to_string());
    }
    connect
}

/// Makes the file if it is not there, for its owner's eyes only (SQLite gives its log the same rights), and gives its full path, so
/// that two ways to write it mean one lock.
pub(crate) fn create(path: &Path) -> Result<PathBuf, OpenError> {
    let failed = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => {}
        // Not opened, then: closing it would give up the locks that SQLite may hold on it elsewhere in this process.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    path.canonicalize().map_err(failed)
}

/// The first connection: looks before it touches, then migrates.
///
/// Where another process is in the way it is tried again: of several that make a file at the same moment SQLite tells one or the other
/// at once that it is busy, with any timeout.
pub(crate) async fn prepare(
    path: &Path,
    options: &SqliteOptions,
    schema: &Schema,
) -> Result<(SqliteConnection, Vec<Renamed>), OpenError> {
    let step = options.busy_timeout / OPEN_ATTEMPTS;
    let mut attempt = 1;
    loop {
        match connect_and_migrate(path, options, step, schema).await {
            Err(OpenError::Locked { .. }) if attempt < OPEN_ATTEMPTS => tokio::time::sleep(step).await,
            done => return done,
        }
        attempt += 1;
    }
}

/// Waits for a lock no longer than `wait`.
async fn connect_and_migrate(
    path: &Path,
    options: &SqliteOptions,
    wait: Duration,
    schema: &Schema,
) -> Result<(SqliteConnection, Vec<Renamed>), OpenError> {
    let failed = |error: sqlx::Error| error::of_open(&error, path);
    let connect = connect_options(path, options, schema).busy_timeout(wait);
    let mut connection = connect.connect().await.map_err(failed)?;
    match look_and_migrate(&mut connection, path, options, schema).await {
        Ok(renamed) => {
            let patience = format!("PRAGMA busy_timeout = {}", options.busy_timeout.as_millis());
            sqlx::query(AssertSqlSafe(patience))
                .execute(&mut connection)
                .await
                .map_err(failed)?;
            Ok((connection, renamed))
        }
        Err(error) => {
            // The reason is known; how the connection ends changes nothing about it.
            let _ = connection.close().await;
            Err(error)
        }
    }
}

async fn look_and_migrate(
    connection: &mut SqliteConnection,
    path: &Path,
    options: &SqliteOptions,
    schema: &Schema,
) -> Result<Vec<Renamed>, OpenError> {
    let failed = |error: sqlx::Error| error::of_open(&error, path);
    let found = version(connection, path, schema).await?;
    if found > schema.known() {
        return Err(OpenError::TooNew {
            path: path.to_owned(),
            found,
            known: schema.known(),
        });
    }
    if options.check {
        check(connection, path).await?;
    }
    // Only now that it is known to be ours, because the mode is written into the file. Where there is no shared memory, SQLite
    // stays with its old journal, which is as safe.
    sqlx::query("PRAGMA journal_mode = WAL")
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    migrations::migrate(connection, schema, schema.known())
        .await
        .map_err(|error| error::of_migration(&error, path))
}

/// The newest migration that the database has been through; 0 for an empty one.
async fn version(connection: &mut SqliteConnection, path: &Path, schema: &Schema) -> Result<i64, OpenError> {
    let failed = |error: sqlx::Error| error::of_open(&error, path);
    // Tables first: another process may be migrating a new file, which gets both at once.
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    let application: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if tables == 0 && application == 0 {
        return Ok(0);
    }
    if application != schema.application_id {
        return Err(OpenError::OtherProgram { path: path.to_owned() });
    }
    let newest = format!("SELECT coalesce(max(version), 0) FROM {BOOK}");
    sqlx::query_scalar(AssertSqlSafe(newest))
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)
}

async fn check(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| error::of_open(&error, path);
    let said: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(connection)
        .await
        .map_err(failed)?;
    if said == "ok" {
        return Ok(());
    }
    Err(OpenError::Damaged {
        path: path.to_owned(),
        what: said.lines().last().unwrap_or_default().to_owned(),
    })
}
