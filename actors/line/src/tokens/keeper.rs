//! A line's device token in its store, read and written off the thread that drives sockets.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
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
use crate::supervision::ShardContext;
use crate::threads;

/// How long a token may take to be read before the attempt to connect counts as failed: a disk that wakes up takes ten.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// How long a line that is closed waits for its token to be kept: a disk that is late by more has a fault.
const KEPT_WITHIN: Duration = Duration::from_secs(10);

/// Steps of one line that may wait: its address would have to change as often while its disk stands still.
const STEPS: usize = 4;

/// Threads that a shard uses for tokens at a time: a store of one file takes one after the other anyway.
pub(crate) const TOKEN_THREADS: usize = 4;

/// Reads and keeps the token of one line, one step at a time. Nearly all lines have nothing to keep at nearly all times, and then
/// this is as good as nothing.
#[derive(Default)]
pub(crate) struct TokenKeeper(RefCell<Option<Box<Work>>>);

/// Something is kept.
struct Work {
    /// The steps to do, one for each key: a later one makes an earlier one void.
    steps: Rc<RefCell<VecDeque<Step>>>,
    /// Does it.
    worker: JoinHandle<()>,
}

type Step = (TokenKey, StoreAction);

impl TokenKeeper {
    /// The token that is kept, after all that is to be kept is.
    ///
    /// # Errors
    /// How long was waited in vain.
    pub(crate) async fn load(&self, shard: &ShardContext, key: TokenKey) -> Result<Option<Secret>, Duration> {
        if shard.tokens.is_in_memory() {
            return Ok(shard.tokens.load(&key));
        }
        let read = async {
            self.done().await;
            let store = Arc::clone(&shard.tokens);
            on_a_thread(Arc::clone(&shard.token_threads), move || store.load(&key)).await
        };
        // A store that panics has no token.
        within(READ_WITHIN, read).await.map(Option::flatten).ok_or(READ_WITHIN)
    }

    /// Has a step done; returns at once.
    pub(crate) fn keep(&self, shard: &ShardContext, key: TokenKey, action: StoreAction) {
        if shard.tokens.is_in_memory() {
            return carry_out(&*shard.tokens, &key, &action);
        }
        let mut work = self.0.borrow_mut();
        match &*work {
            Some(work) if !work.worker.is_finished() => {
                let mut steps = work.steps.borrow_mut();
                steps.retain(|(of, _)| *of != key);
                if steps.len() >= STEPS {
                    steps.pop_front();
                }
                steps.push_back((key, action));
            }
            _ => {
                let steps = Rc::new(RefCell::new(VecDeque::from([(key, action)])));
                let worker = spawn_local(carry_all_out(shard, Rc::clone(&steps)));
                *work = Some(Box::new(Work { steps, worker }));
            }
        }
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
            let mut work = self.0.borrow_mut();
            match work.as_mut().map(|work| Pin::new(&mut work.worker).poll(cx)) {
                Some(Poll::Pending) => Poll::Pending,
                Some(Poll::Ready(_)) | None => {
                    *work = None;
                    Poll::Ready(())
                }
            }
        })
        .await;
    }
}

/// Does one step after the other, until none is left.
fn carry_all_out(shard: &ShardContext, steps: Rc<RefCell<VecDeque<Step>>>) -> impl Future<Output = ()> + use<> {
    let (store, threads) = (Arc::clone(&shard.tokens), Arc::clone(&shard.token_threads));
    async move {
        loop {
            let step = steps.borrow_mut().pop_front();
            let Some((key, action)) = step else { return };
            let store = Arc::clone(&store);
            on_a_thread(Arc::clone(&threads), move || carry_out(&*store, &key, &action)).await;
        }
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
