//! A line's device token in its store, read and written off the thread that drives sockets.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_local};
use windlass_protocol::{Secret, StoreAction};

use super::{DeviceTokenStore, TokenKey};
use crate::clock::within;
use crate::threads;

/// How long a token may take to be read before the attempt to connect counts as failed: a disk that wakes up takes ten.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// How long a line that is closed waits for its token to be kept: a disk that is late by more has a fault.
const KEPT_WITHIN: Duration = Duration::from_secs(10);

/// Steps of one line that may wait: its address would have to change as often while its disk stands still.
const STEPS: usize = 4;

/// Threads that a machine uses for tokens at a time: a store of one file takes one after the other anyway.
pub(crate) const TOKEN_THREADS: usize = 4;

/// Reads and keeps the token of one line, one step at a time.
pub(crate) struct TokenKeeper {
    store: Arc<dyn DeviceTokenStore>,
    threads: Arc<Semaphore>,
    /// What is to be done, one step for each key: a later one makes an earlier one void.
    steps: Rc<RefCell<VecDeque<(TokenKey, StoreAction)>>>,
    /// Does it.
    worker: RefCell<Option<JoinHandle<()>>>,
}

impl TokenKeeper {
    /// `threads` has one permit for each thread that may be used for tokens at a time.
    pub(crate) fn new(store: Arc<dyn DeviceTokenStore>, threads: Arc<Semaphore>) -> Self {
        Self {
            store,
            threads,
            steps: Rc::default(),
            worker: RefCell::new(None),
        }
    }

    /// The token that is kept, after all that is to be kept is.
    ///
    /// # Errors
    /// How long was waited in vain.
    pub(crate) async fn load(&self, key: TokenKey) -> Result<Option<Secret>, Duration> {
        if self.store.is_in_memory() {
            return Ok(self.store.load(&key));
        }
        let read = async {
            self.done().await;
            let store = Arc::clone(&self.store);
            on_a_thread(Arc::clone(&self.threads), move || store.load(&key)).await
        };
        // A store that panics has no token.
        within(READ_WITHIN, read).await.map(Option::flatten).ok_or(READ_WITHIN)
    }

    /// Has a step done; returns at once.
    pub(crate) fn keep(&self, key: TokenKey, action: StoreAction) {
        if self.store.is_in_memory() {
            return carry_out(&*self.store, &key, &action);
        }
        let mut steps = self.steps.borrow_mut();
        steps.retain(|(of, _)| *of != key);
        if steps.len() >= STEPS {
            steps.pop_front();
        }
        steps.push_back((key, action));
        drop(steps);
        let mut worker = self.worker.borrow_mut();
        if worker.as_ref().is_none_or(JoinHandle::is_finished) {
            *worker = Some(self.work());
        }
    }

    fn work(&self) -> JoinHandle<()> {
        let (steps, threads) = (Rc::clone(&self.steps), Arc::clone(&self.threads));
        let store = Arc::clone(&self.store);
        spawn_local(async move {
            loop {
                let step = steps.borrow_mut().pop_front();
                let Some((key, action)) = step else { return };
                let store = Arc::clone(&store);
                on_a_thread(Arc::clone(&threads), move || carry_out(&*store, &key, &action)).await;
            }
        })
    }

    /// Waits until all that is to be kept is, within bounds.
    pub(crate) async fn settled(&self) {
        if within(KEPT_WITHIN, self.done()).await.is_none() {
            tracing::warn!("a device's token was not kept yet when its line closed: its store does not answer");
        }
    }

    /// ## Cancel safety
    /// The work goes on, and can be waited for again.
    async fn done(&self) {
        poll_fn(|cx| {
            let mut worker = self.worker.borrow_mut();
            match worker.as_mut().map(|worker| Pin::new(worker).poll(cx)) {
                Some(Poll::Pending) => Poll::Pending,
                Some(Poll::Ready(_)) | None => {
                    *worker = None;
                    Poll::Ready(())
                }
            }
        })
        .await;
    }
}

/// Runs it on a thread that may block; nothing when it panicked, or where there is no thread.
async fn on_a_thread<T: Send + 'static>(
    places: Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let place = places.acquire_owned().await.ok()?;
    let begun = threads::blocking(move || {
        let _place = place;
        work()
    });
    match begun {
        Ok(done) => done.await.ok(),
        Err(error) => {
            tracing::warn!("the store of device tokens is left out: {error}");
            None
        }
    }
}

fn carry_out(store: &dyn DeviceTokenStore, key: &TokenKey, action: &StoreAction) {
    let done = match action {
        StoreAction::Keep => Ok(()),
        StoreAction::Save(token) => store.store(key, token),
        StoreAction::Forget => store.clear(key),
    };
    if let Err(error) = done {
        tracing::warn!(gateway = %key.gateway, %error, "the line goes on, but the device may have to be paired again");
    }
}
