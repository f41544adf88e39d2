//! The journal in memory.

use async_trait::async_trait;

use super::{MemoryStore, listed, take};
use crate::backend::{Reach, check, check_batch};
use crate::error::{OwnError, StoreError};
use crate::limits;
use crate::ownership::{Ownership, Right};
use crate::record::{
    Acknowledged, Appended, ClockStep, Consumer, Extent, JournalFilter, NewEntry, Page, Pruned, ReaderId, Retention,
};
use crate::traits::Journal;
use crate::values::{Cursor, Timestamp};

#[async_trait]
impl Journal for MemoryStore {
    async fn own_journal(&self) -> Result<Ownership, OwnError> {
        take(&self.journal_owned, Right::Journal)
    }

    async fn append(&self, entries: &[NewEntry]) -> Result<Appended, StoreError> {
        check_batch(entries)?;
        Ok(self.tables()?.journal.append(entries))
    }

    async fn read_journal(
        &self,
        after: Option<Cursor>,
        filter: &JournalFilter,
        limit: usize,
    ) -> Result<Page, StoreError> {
        filter.check()?;
        Ok(self.tables()?.journal.read(after, filter, limit))
    }

    async fn journal_extent(&self) -> Result<Extent, StoreError> {
        Ok(self.tables()?.journal.reach.map_or_else(Extent::default, Reach::extent))
    }

    async fn prune_journal(&self, retention: &Retention, now: Timestamp, limit: usize) -> Result<Pruned, StoreError> {
        Ok(self.tables()?.journal.prune(retention, now, limit))
    }

    async fn note_clock_step(&self, step: ClockStep) -> Result<(), StoreError> {
        self.tables()?.journal.note_clock_step(step);
        Ok(())
    }

    async fn clock_steps(&self) -> Result<Vec<ClockStep>, StoreError> {
        Ok(self.tables()?.journal.clock_steps.clone())
    }

    async fn acknowledge(
        &self,
        consumer: &str,
        cursor: Cursor,
        reader: ReaderId,
        at: Timestamp,
    ) -> Result<Acknowledged, StoreError> {
        check::name("consumer.name", consumer, limits::KEY_CHARS)?;
        self.tables()?.journal.acknowledge(consumer, cursor, reader, at)
    }

    async fn acknowledged(&self, consumer: &str) -> Result<Option<Cursor>, StoreError> {
        let tables = self.tables()?;
        Ok(tables.journal.consumers.get(consumer).map(|known| known.cursor))
    }

    async fn consumers(&self) -> Result<Vec<Consumer>, StoreError> {
        let tables = self.tables()?;
        listed("consumers", tables.journal.consumers.values().cloned(), |known| {
            known.name.clone()
        })
    }

    async fn delete_consumer(&self, consumer: &str) -> Result<bool, StoreError> {
        Ok(self.tables()?.journal.consumers.remove(consumer).is_some())
    }
}
