//! The journal in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use async_trait::async_trait;

use super::{MemoryStore, listed};
use crate::error::{OwnError, StoreError};
use crate::limits;
use crate::ownership::{Ownership, Right};
use crate::record::{
    Aged, Appended, Consumer, Cursor, Entry, Extent, JournalFilter, NewEntry, Page, Pruned, Reach, Retention,
    check_batch, fitting,
};
use crate::time::Timestamp;
use crate::traits::Journal;

#[derive(Default)]
pub(super) struct Entries {
    by_cursor: BTreeMap<Cursor, NewEntry>,
    // None until the first append.
    reach: Option<Reach>,
    consumers: BTreeMap<String, Consumer>,
}

impl Entries {
    fn append(&mut self, entries: &[NewEntry]) -> Appended {
        let reach = self.reach.get_or_insert_with(|| Reach::new(entries[0].at));
        let appended = reach.append(entries);
        for (count, entry) in entries.iter().enumerate() {
            self.by_cursor.insert(appended.first.advanced(count), entry.clone());
        }
        appended
    }

    fn read(&self, after: Option<Cursor>, filter: &JournalFilter, limit: usize) -> Page {
        let Some(reach) = self.reach else {
            return Page::of_nothing(after);
        };
        let (window, lost) = reach.window(after);
        let within = (Bound::Excluded(window.above), Bound::Included(window.to));
        let taken = || self.by_cursor.range(within).filter(|(_, entry)| filter.takes(entry));
        let sizes = taken().map(|(cursor, entry)| (*cursor, entry.size()));
        let (fits, is_cut) = fitting(sizes, limits::page(limit), limits::JOURNAL_PAGE_BYTES);
        let next = fits.filter(|_| is_cut).unwrap_or(window.to);
        let entries = taken().take_while(|(cursor, _)| **cursor <= next);
        Page {
            lost,
            entries: entries
                .map(|(cursor, entry)| Entry {
                    cursor: *cursor,
                    entry: entry.clone(),
                })
                .collect(),
            next: Some(next),
            is_end: next == reach.newest,
        }
    }

    fn prune(&mut self, retention: &Retention, now: Timestamp, limit: usize) -> Pruned {
        let Some(reach) = &mut self.reach else {
            return Pruned::default();
        };
        let oldest = self.by_cursor.iter().map(|(cursor, entry)| Aged {
            cursor: *cursor,
            size: entry.size(),
            at: entry.at,
        });
        let (cut, pruned) = retention.cut(oldest, reach.bytes, now, limits::page(limit));
        if let Some(cut) = cut {
            self.by_cursor = self.by_cursor.split_off(&cut.advanced(1));
            reach.prune(cut, pruned);
        }
        pruned
    }

    fn acknowledge(&mut self, consumer: &str, cursor: Cursor, at: Timestamp) -> Result<Cursor, StoreError> {
        Reach::check(self.reach, cursor)?;
        let known = self.consumers.entry(consumer.to_owned()).or_insert_with(|| Consumer {
            name: consumer.to_owned(),
            cursor,
            at,
        });
        if cursor > known.cursor {
            (known.cursor, known.at) = (cursor, at);
        }
        Ok(known.cursor)
    }
}

#[async_trait]
impl Journal for MemoryStore {
    async fn own_journal(&self) -> Result<Ownership, OwnError> {
        Ownership::of_flag(&self.journal_owned, Right::Journal)
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

    async fn acknowledge(&self, consumer: &str, cursor: Cursor, at: Timestamp) -> Result<Cursor, StoreError> {
        limits::name("consumer.name", consumer, limits::KEY_CHARS)?;
        self.tables()?.journal.acknowledge(consumer, cursor, at)
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
