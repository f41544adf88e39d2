//! Activities in memory.

use async_trait::async_trait;

use super::MemoryStore;
use crate::backend;
use crate::error::StoreError;
use crate::record::{Activity, ActivityFilter, NewActivity};
use crate::time::Timestamp;
use crate::traits::Activities;

#[async_trait]
impl Activities for MemoryStore {
    async fn record(&self, activity: &NewActivity) -> Result<Activity, StoreError> {
        activity.check()?;
        let mut tables = self.tables()?;
        tables.last_activity += 1;
        let stored = activity.numbered(tables.last_activity);
        tables.activities.insert(stored.id, stored.clone());
        Ok(stored)
    }

    async fn activities(
        &self,
        filter: &ActivityFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Activity>, StoreError> {
        let tables = self.tables()?;
        let limit = backend::page_size(limit);
        let Some(after) = after else {
            let newest = tables
                .activities
                .values()
                .rev()
                .filter(|found| filter.takes(found))
                .take(limit);
            let mut newest: Vec<Activity> = newest.cloned().collect();
            newest.reverse();
            return Ok(newest);
        };
        let next = tables
            .activities
            .range(after.saturating_add(1)..)
            .map(|(_, found)| found);
        Ok(next.filter(|found| filter.takes(found)).take(limit).cloned().collect())
    }

    async fn prune_activities(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut tables = self.tables()?;
        let old = tables
            .activities
            .values()
            .filter(|found| found.at < before)
            .map(|found| found.id);
        let old: Vec<i64> = old.take(backend::page_size(limit)).collect();
        for id in &old {
            tables.activities.remove(id);
        }
        Ok(old.len() as u64)
    }
}
