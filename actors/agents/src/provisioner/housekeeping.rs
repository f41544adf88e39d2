//! Deletes old records: runs that ended, and activities.

use std::rc::Rc;
use std::time::Duration;

use windlass_store::StoreError;
use windlass_store::limits::PAGE_LIMIT;

use super::context::{Context, sleep};
use windlass_line::failpoint;

/// The interval of the search for old records: records that are kept for weeks may stay some hours longer.
const EVERY: Duration = Duration::from_hours(6);

/// The pause between two pages, so that other users of the store do not wait long.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs for as long as the provisioner.
pub(super) async fn run(ctx: Rc<Context>) {
    loop {
        failpoint::reach("housekeeping");
        match clean(&ctx).await {
            Ok((0, 0)) => {}
            Ok((runs, activities)) => tracing::info!(runs, activities, "old records were deleted"),
            Err(error) => tracing::warn!("old records could not be deleted: {error}"),
        }
        sleep(EVERY).await;
    }
}

/// How many runs and activities were deleted.
async fn clean(ctx: &Context) -> Result<(u64, u64), StoreError> {
    let (keep, now) = (ctx.settings.keep, ctx.now());
    let (mut runs, mut activities) = (0, 0);
    loop {
        let page = ctx.store.prune_runs(now.saturating_sub(keep.runs), PAGE_LIMIT).await?;
        runs += page;
        if is_last(page) {
            break;
        }
        sleep(PAUSE).await;
    }
    loop {
        let page = ctx
            .store
            .prune_activities(now.saturating_sub(keep.activities), PAGE_LIMIT)
            .await?;
        activities += page;
        if is_last(page) {
            break;
        }
        sleep(PAUSE).await;
    }
    Ok((runs, activities))
}

const fn is_last(page: u64) -> bool {
    page < PAGE_LIMIT as u64
}
