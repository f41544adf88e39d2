//! Who feeds a line's cache: one feed at a time, shared by all who look.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{SessionCache, SessionCacheView};

/// Where a line keeps its cache, while somebody looks.
#[derive(Debug, Default)]
pub(crate) struct SharedCache {
    taken: Mutex<Option<Arc<watch::Sender<SessionCacheView>>>>,
}

/// What makes its holder the one that feeds.
#[derive(Debug)]
pub(super) struct FeedGuard {
    slot: Arc<SharedCache>,
    view: Arc<watch::Sender<SessionCacheView>>,
}

impl SharedCache {
    /// A look at what is fed already; else the seat of who is to feed.
    pub(super) fn enter(self: &Arc<Self>) -> (SessionCache, Option<FeedGuard>) {
        let mut taken = self.lock();
        if let Some(view) = &*taken {
            return (SessionCache::new(view.subscribe()), None);
        }
        let (sender, receiver) = watch::channel(SessionCacheView::default());
        let view = Arc::new(sender);
        *taken = Some(Arc::clone(&view));
        let seat = FeedGuard {
            slot: Arc::clone(self),
            view,
        };
        (SessionCache::new(receiver), Some(seat))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<watch::Sender<SessionCacheView>>>> {
        // One pointer, changed in one step.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FeedGuard {
    pub(super) fn view(&self) -> &watch::Sender<SessionCacheView> {
        &self.view
    }

    /// Gives the seat up if nobody looks any more: whoever looks next finds it free.
    pub(super) fn leave_if_unseen(&self) -> bool {
        let mut taken = self.slot.lock();
        let unseen = self.view.receiver_count() == 0;
        if unseen {
            *taken = None;
        }
        unseen
    }
}

impl Drop for FeedGuard {
    /// However the feed ends, those who look are told, by the end of the watch.
    fn drop(&mut self) {
        let mut taken = self.slot.lock();
        if taken.as_ref().is_some_and(|taken| Arc::ptr_eq(taken, &self.view)) {
            *taken = None;
        }
    }
}
