//! The journal in SQLite, in a database of its own.
//!
//! An append waits for the disk (`synchronous = FULL`, as the records do). Otherwise a power cut could lose the last commits of the
//! log, their cursors would go to other entries, and a reader that has seen the lost entries would miss the new ones. A batch waits
//! once.

mod entries;
mod pruning;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::connections::Connections;
use super::migrations::JOURNAL;
use super::rows::{self, Fields, Statement, TableRecord, Where};
use crate::OpenError;
use crate::{SqliteStore, lock, open};
use windlass_store::backend::{self, Reach, check, check_batch};
use windlass_store::{
    Acknowledged, Appended, ClockStep, Consumer, Cursor, Extent, Journal, JournalFilter, NewEntry, OwnError, Ownership,
    Page, Pruned, ReaderId, Retention, Right, StoreError, Timestamp, limits,
};

/// The journal of the store in this file.
pub(crate) fn path_of(database: &Path) -> PathBuf {
    let mut path = OsString::from(database);
    path.push(".journal");
    PathBuf::from(path)
}

/// A failure to open the journal. `Busy` and `Full` are as for the records; any other failure is marked as the journal's.
fn unopened(error: OpenError) -> StoreError {
    match error {
        OpenError::Locked { .. } => StoreError::Busy,
        OpenError::Full { .. } => StoreError::Full,
        other => StoreError::Journal(Box::new(other)),
    }
}

impl SqliteStore {
    /// The journal, opened when it is first needed: a service without a journal has no file for it, and a damaged journal does not
    /// prevent the agents from running.
    pub(crate) async fn journal(&self) -> Result<&Connections, StoreError> {
        self.connections.check_open()?;
        self.journal.get_or_try_init(|| self.open_journal()).await
    }

    async fn open_journal(&self) -> Result<Connections, StoreError> {
        let options = self.connections.options().for_journal();
        let path = open::create(&path_of(self.path())).map_err(unopened)?;
        let (writer, _) = open::prepare(&path, &options, &JOURNAL).await.map_err(unopened)?;
        Ok(Connections::new(path, options, &JOURNAL, writer))
    }
}

impl TableRecord for Consumer {
    const TABLE: &'static str = "consumers";
    const COLUMNS: &'static [&'static str] = &["name", "cursor", "at", "reader"];

    fn bind(&self, statement: Statement) -> Result<Statement, StoreError> {
        Ok(statement
            .bind(self.name.clone())
            .bind(self.cursor.number())
            .bind(self.at.as_millis())
            .bind(self.reader.map(ReaderId::number)))
    }

    fn read(row: &Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            name: row.get("name")?,
            cursor: Cursor::new(row.get("cursor")?),
            at: row.at("at")?,
            reader: row.get::<Option<i64>>("reader")?.map(ReaderId::new),
        })
    }
}

async fn known(connection: &mut SqliteConnection, consumer: &str) -> Result<Option<Consumer>, StoreError> {
    rows::one(connection, Where::all().text("name =", consumer)).await
}

async fn append(connection: &mut SqliteConnection, entries: &[NewEntry]) -> Result<Appended, StoreError> {
    let appended = entries::append(connection, entries).await?;
    pruning::append_shares(connection, appended.first, entries).await?;
    Ok(appended)
}

async fn acknowledge(
    connection: &mut SqliteConnection,
    name: &str,
    cursor: Cursor,
    reader: ReaderId,
    at: Timestamp,
) -> Result<Acknowledged, StoreError> {
    let newest = Reach::check(entries::reach(connection).await?, cursor)?;
    let known = known(connection, name).await?;
    let acknowledged = Acknowledged::of(known.as_ref(), cursor, newest);
    if acknowledged.is_news(reader) {
        let consumer = Consumer {
            name: name.to_owned(),
            cursor: acknowledged.now,
            at,
            reader: Some(reader),
        };
        rows::put(connection, &consumer).await?;
    }
    Ok(acknowledged)
}

#[async_trait]
impl Journal for SqliteStore {
    async fn own_journal(&self) -> Result<Ownership, OwnError> {
        lock::own(self.path(), Right::Journal)
    }

    async fn append(&self, entries: &[NewEntry]) -> Result<Appended, StoreError> {
        check_batch(entries)?;
        let mut write = self.journal().await?.write().await?;
        let result = append(write.connection(), entries).await;
        write.finish(result).await
    }

    async fn read_journal(
        &self,
        after: Option<Cursor>,
        filter: &JournalFilter,
        limit: usize,
    ) -> Result<Page, StoreError> {
        filter.check()?;
        let mut read = self.journal().await?.snapshot().await?;
        let result = entries::page(read.connection(), after, filter, backend::page_size(limit)).await;
        read.finish(result).await
    }

    async fn journal_extent(&self) -> Result<Extent, StoreError> {
        let mut read = self.journal().await?.read().await?;
        let reach = entries::reach(read.connection()).await?;
        Ok(reach.map_or_else(Extent::default, Reach::extent))
    }

    async fn prune_journal(&self, retention: &Retention, now: Timestamp, limit: usize) -> Result<Pruned, StoreError> {
        let mut write = self.journal().await?.write().await?;
        let result = pruning::prune(write.connection(), retention, now, backend::page_size(limit)).await;
        write.finish(result).await
    }

    async fn note_clock_step(&self, step: ClockStep) -> Result<(), StoreError> {
        let mut write = self.journal().await?.write().await?;
        let result = pruning::note_clock_step(write.connection(), &step).await;
        write.finish(result).await
    }

    async fn clock_steps(&self) -> Result<Vec<ClockStep>, StoreError> {
        let mut read = self.journal().await?.read().await?;
        pruning::clock_steps(read.connection()).await
    }

    async fn acknowledge(
        &self,
        consumer: &str,
        cursor: Cursor,
        reader: ReaderId,
        at: Timestamp,
    ) -> Result<Acknowledged, StoreError> {
        check::name("consumer.name", consumer, limits::KEY_CHARS)?;
        let mut write = self.journal().await?.write().await?;
        let result = acknowledge(write.connection(), consumer, cursor, reader, at).await;
        write.finish(result).await
    }

    async fn acknowledged(&self, consumer: &str) -> Result<Option<Cursor>, StoreError> {
        let mut read = self.journal().await?.read().await?;
        let known = known(read.connection(), consumer).await?;
        Ok(known.map(|known| known.cursor))
    }

    async fn consumers(&self) -> Result<Vec<Consumer>, StoreError> {
        let mut read = self.journal().await?.read().await?;
        rows::list(read.connection(), Where::all(), "name").await
    }

    async fn delete_consumer(&self, consumer: &str) -> Result<bool, StoreError> {
        let mut write = self.journal().await?.write().await?;
        let which = Where::all().text("name =", consumer);
        let result = rows::delete(write.connection(), Consumer::TABLE, which).await;
        Ok(write.finish(result).await? > 0)
    }
}
