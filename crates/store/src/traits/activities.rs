//! Activities.

use async_trait::async_trait;

use crate::error::StoreError;
use crate::record::{Activity, ActivityFilter, NewActivity};
use crate::time::Timestamp;

/// Activities.
#[async_trait]
pub trait Activities {
    /// Records one and gives it back with its number.
    async fn record(&self, activity: &NewActivity) -> Result<Activity, StoreError>;

    /// Those that the filter takes, oldest first; at most `limit` and [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT). With `after`, the
    /// first ones after that number; without, the last ones there are. So a reader begins with `None` and goes on from the last
    /// number it has seen; `Some(0)` begins at the beginning.
    async fn activities(
        &self,
        filter: &ActivityFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Activity>, StoreError>;

    /// Deletes those from before `before`, earliest first; at most `limit` and [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT). How many.
    async fn prune_activities(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError>;
}
