//! The sessions of one gateway as a value to look at and to watch.
//!
//! ```text
//!   Line ── events, markers, snapshots ──▶ feed (one for all users) ──▶ watch ──▶ SessionCache, SessionCache, SessionCache
//!    ▲                                      │
//!    └── load again, further pages ─────────┘
//! ```
//!
//! What a gateway says and what follows from it is [`SessionRoster`]'s business; this feeds it, and asks again when it says that
//! it may be wrong. The first user starts the feed, the last one to go ends it.

mod pages;
mod reflector;
mod schedule;
mod wire;
pub use reflector::Reflector;
pub use schedule::{POLL, REST, REST_CAP};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use windlass_protocol::session_roster::SessionRoster;

/// What is known of a gateway's sessions at one moment. A clone costs two pointers.
#[derive(Debug, Clone, Default)]
pub struct SessionCacheView {
    /// The sessions and their runs. [`SessionRoster::stale`] tells whether a fresh list might say something else; then one is on
    /// its way, unless it was refused.
    pub sessions: Arc<SessionRoster>,
    /// Why the gateway does not let us have its sessions, in its own words; asked again at the next connection.
    pub refused: Option<Arc<str>>,
}

impl SessionCacheView {
    /// Whether this is what the gateway would say now, as far as can be told.
    pub fn is_fresh(&self) -> bool {
        self.sessions.stale().is_none()
    }
}

/// The line was closed for good, or Windlass was shut down: the cache does not change any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the line is closed: its cache does not change any more")]
pub struct SessionCacheClosed;

/// One user's hold on a gateway's cache: to look at, and to wait for changes of. Clones see the same and wait by themselves.
///
/// Kept up to date over reconnects, restarts and lost events for as long as any user holds it. Releases before 2026.4 send no word
/// of changed sessions: there the list is asked for when a run ends, and every [`POLL`] besides.
#[derive(Clone)]
pub struct SessionCache {
    view: watch::Receiver<SessionCacheView>,
}

impl SessionCache {
    const fn new(view: watch::Receiver<SessionCacheView>) -> Self {
        Self { view }
    }

    /// What is known now. Cheap; what it gives is a moment that stays as it is.
    pub fn now(&self) -> SessionCacheView {
        self.view.borrow().clone()
    }

    /// Waits for a change since this handle last waited, and gives what is known then. Changes that come quickly are seen as one.
    ///
    /// # Errors
    /// [`SessionCacheClosed`], when nothing changes any more.
    ///
    /// ## Cancel safety
    /// Nothing is missed when the future is dropped.
    pub async fn changed(&mut self) -> Result<SessionCacheView, SessionCacheClosed> {
        self.view.changed().await.map_err(|_| SessionCacheClosed)?;
        Ok(self.view.borrow_and_update().clone())
    }

    /// Waits until what is known is as wanted; at once where it is.
    ///
    /// # Errors
    /// [`SessionCacheClosed`], when it will not be.
    pub async fn wait_for(
        &mut self,
        mut wanted: impl FnMut(&SessionCacheView) -> bool,
    ) -> Result<SessionCacheView, SessionCacheClosed> {
        loop {
            // Not `watch::Receiver::wait_for`: what is looked at is a copy, so that a slow look holds up nobody.
            let view = self.view.borrow_and_update().clone();
            if wanted(&view) {
                return Ok(view);
            }
            self.view.changed().await.map_err(|_| SessionCacheClosed)?;
        }
    }

    /// Waits until what is known is what the gateway would say.
    ///
    /// # Errors
    /// [`SessionCacheClosed`], when the line closes before.
    pub async fn fresh(&mut self) -> Result<SessionCacheView, SessionCacheClosed> {
        self.wait_for(SessionCacheView::is_fresh).await
    }
}

impl fmt::Debug for SessionCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let view = self.now();
        f.debug_struct("SessionCache")
            .field("sessions", &view.sessions.len())
            .field("stale", &view.sessions.stale())
            .finish_non_exhaustive()
    }
}

/// Where a line keeps its cache, while somebody looks.
#[derive(Debug, Default)]
pub(crate) struct SharedCache {
    taken: Mutex<Option<Arc<watch::Sender<SessionCacheView>>>>,
}

/// What makes its holder the one that feeds.
#[derive(Debug)]
struct FeedGuard {
    slot: Arc<SharedCache>,
    view: Arc<watch::Sender<SessionCacheView>>,
}

impl SharedCache {
    /// A look at what is fed already; else the seat of who is to feed.
    fn enter(self: &Arc<Self>) -> (SessionCache, Option<FeedGuard>) {
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
    fn view(&self) -> &watch::Sender<SessionCacheView> {
        &self.view
    }

    /// Gives the seat up if nobody looks any more: whoever looks next finds it free.
    fn leave_if_unseen(&self) -> bool {
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
