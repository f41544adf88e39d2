//! Where device tokens are kept, and their reading and writing off the threads that drive sockets.
//!
//! A gateway hands a paired device a token of its own in hello-ok; with it the device connects without the gateway's
//! shared token.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_local};
use tracing::guard;
use windlass_protocol::{GatewayId, Secret, StoreAction};

use crate::clock::within;
use crate::{Endpoint, threads};

/// The owner of a device token: a gateway at the address that issued it. A gateway that is reached at another address
/// (another scheme, host, port or path) is another one: it is not shown the token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenKey {
    /// The gateway's name in the registry.
    pub gateway: GatewayId,
    /// Where it listens.
    pub address: Endpoint,
}

impl TokenKey {
    /// The key of a gateway's token.
    pub const fn new(gateway: GatewayId, address: Endpoint) -> Self {
        Self { gateway, address }
    }
}

/// Keeps one device token per gateway and address. Its methods may block, on a slow disk for example: they are called on threads
/// for that, never on one that drives sockets, and a line goes up without waiting for its token to be kept.
///
/// ```
/// use windlass_line::{DeviceTokenStore, Endpoint, MemoryTokens, TokenKey};
/// use windlass_protocol::{GatewayId, Secret};
///
/// let tokens = MemoryTokens::default();
/// let id = GatewayId::new("lab")?;
/// let key = TokenKey::new(id.clone(), Endpoint::parse("wss://gateway.example")?);
/// tokens.store(&key, &Secret::new("device-token"))?;
/// assert!(tokens.load(&key).is_some());
/// // The same gateway at another address is not shown the token.
/// assert!(tokens.load(&TokenKey::new(id, Endpoint::parse("wss://other.example")?)).is_none());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub trait DeviceTokenStore: Send + Sync + 'static {
    /// Whether no method ever waits for anything: then they are called where the line is, which costs no other thread.
    fn is_in_memory(&self) -> bool {
        false
    }
    /// The token kept for a gateway at its address.
    fn load(&self, key: &TokenKey) -> Option<Secret>;
    /// Keeps a token, in place of an older one.
    ///
    /// # Errors
    /// When it can't be kept; the line goes on without, and logs it.
    fn store(&self, key: &TokenKey, token: &Secret) -> Result<(), TokenStoreError>;
    /// Forgets a token that the gateway does not take any more.
    ///
    /// # Errors
    /// When it can't be forgotten.
    fn clear(&self, key: &TokenKey) -> Result<(), TokenStoreError>;
}

/// A device token could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the device token of a gateway could not be kept: {0}")]
pub struct TokenStoreError(pub String);

/// Keeps device tokens for the life of the process.
#[derive(Default)]
pub struct MemoryTokens(DashMap<TokenKey, Secret>);

impl fmt::Debug for MemoryTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryTokens({})", self.0.len())
    }
}

impl<T: DeviceTokenStore + ?Sized> DeviceTokenStore for Arc<T> {
    fn is_in_memory(&self) -> bool {
        (**self).is_in_memory()
    }

    fn load(&self, key: &TokenKey) -> Option<Secret> {
        (**self).load(key)
    }

    fn store(&self, key: &TokenKey, token: &Secret) -> Result<(), TokenStoreError> {
        (**self).store(key, token)
    }

    fn clear(&self, key: &TokenKey) -> Result<(), TokenStoreError> {
        (**self).clear(key)
    }
}

impl DeviceTokenStore for MemoryTokens {
    fn is_in_memory(&self) -> bool {
        true
    }

    fn load(&self, key: &TokenKey) -> Option<Secret> {
        self.0.get(key).map(|token| token.value().clone())
    }

    fn store(&self, key: &TokenKey, token: &Secret) -> Result<(), TokenStoreError> {
        self.0.insert(key.clone(), token.clone());
        Ok(())
    }

    fn clear(&self, key: &TokenKey) -> Result<(), TokenStoreError> {
        self.0.remove(key);
        Ok(())
    }
}

/// How long a token may take to be read before the attempt to connect counts as failed: a disk that wakes up takes ten.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// How long a line that is closed waits for its token to be kept: a disk that is late by more has a fault.
const KEPT_WITHIN: Duration = Duration::from_secs(10);

/// Steps of one line that may wait: its address would have to change as often while its disk stands still.
const MAX_STEPS: usize = 4;

/// Threads that a shard uses for tokens at a time: a store of one file takes one after the other anyway.
const TOKEN_THREADS: usize = 4;

/// The store of device tokens of a shard, and the threads that may wait for it. Cheap to clone; the clones share.
#[derive(Clone)]
pub(crate) struct TokenAccess {
    store: Arc<dyn DeviceTokenStore>,
    /// One permit per thread that may be used to read and keep device tokens.
    threads: Arc<Semaphore>,
}

impl TokenAccess {
    pub(crate) fn new(store: Arc<dyn DeviceTokenStore>) -> Self {
        Self {
            store: Arc::new(GuardedTokens(store)),
            threads: Arc::new(Semaphore::new(TOKEN_THREADS)),
        }
    }
}

/// Reads and keeps the token of one line, one step at a time. Nearly all lines have nothing to keep at nearly all times, and then
/// this is as good as nothing.
#[derive(Default)]
pub(crate) struct TokenKeeper(RefCell<Option<Box<TokenWork>>>);

/// Something is kept.
struct TokenWork {
    /// The steps to do, one for each key: a later one makes an earlier one void.
    steps: Rc<RefCell<VecDeque<TokenStep>>>,
    /// Does it.
    worker: JoinHandle<()>,
}

type TokenStep = (TokenKey, StoreAction);

impl TokenKeeper {
    /// The token that is kept, after all that is to be kept is.
    ///
    /// # Errors
    /// How long was waited in vain.
    pub(crate) async fn load(&self, access: &TokenAccess, key: TokenKey) -> Result<Option<Secret>, Duration> {
        if access.store.is_in_memory() {
            return Ok(access.store.load(&key));
        }
        let read = async {
            self.wait().await;
            let store = Arc::clone(&access.store);
            run_blocking(Arc::clone(&access.threads), move || store.load(&key)).await
        };
        // A store that panics has no token.
        within(READ_WITHIN, read).await.map(Option::flatten).ok_or(READ_WITHIN)
    }

    /// Has a step done; returns at once.
    pub(crate) fn keep(&self, access: &TokenAccess, key: TokenKey, action: StoreAction) {
        if access.store.is_in_memory() {
            return apply(&*access.store, &key, &action);
        }
        let mut work = self.0.borrow_mut();
        match &*work {
            Some(work) if !work.worker.is_finished() => {
                let mut steps = work.steps.borrow_mut();
                steps.retain(|(of, _)| *of != key);
                if steps.len() >= MAX_STEPS {
                    steps.pop_front();
                }
                steps.push_back((key, action));
            }
            _ => {
                let steps = Rc::new(RefCell::new(VecDeque::from([(key, action)])));
                let worker = spawn_local(apply_all(access.clone(), Rc::clone(&steps)));
                *work = Some(Box::new(TokenWork { steps, worker }));
            }
        }
    }

    /// Waits until all that is to be kept is, within bounds.
    pub(crate) async fn settled(&self) {
        if within(KEPT_WITHIN, self.wait()).await.is_none() {
            tracing::warn!("a device's token was not kept yet when its line closed: its store does not answer");
        }
    }

    /// ## Cancel safety
    /// The work goes on, and can be waited for again.
    async fn wait(&self) {
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
async fn apply_all(TokenAccess { store, threads }: TokenAccess, steps: Rc<RefCell<VecDeque<TokenStep>>>) {
    loop {
        let step = steps.borrow_mut().pop_front();
        let Some((key, action)) = step else { return };
        let store = Arc::clone(&store);
        run_blocking(Arc::clone(&threads), move || apply(&*store, &key, &action)).await;
    }
}

/// Runs it on a thread that may block; nothing when it panicked, or where there is no thread.
async fn run_blocking<T: Send + 'static>(
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

fn apply(store: &dyn DeviceTokenStore, key: &TokenKey, action: &StoreAction) {
    let done = match action {
        StoreAction::Keep => Ok(()),
        StoreAction::Save(token) => store.store(key, token),
        StoreAction::Forget => store.clear(key),
    };
    if let Err(error) = done {
        tracing::warn!(gateway = %key.gateway, %error, "the line goes on, but the device may have to be paired again");
    }
}

/// A host's store of device tokens: where it panics, it holds no token, or could not keep one.
struct GuardedTokens(Arc<dyn DeviceTokenStore>);

fn panicked() -> Result<(), TokenStoreError> {
    Err(TokenStoreError("the store of device tokens panicked".to_owned()))
}

impl DeviceTokenStore for GuardedTokens {
    fn is_in_memory(&self) -> bool {
        guard(|| self.0.is_in_memory()).unwrap_or(false)
    }

    fn load(&self, key: &TokenKey) -> Option<Secret> {
        guard(|| self.0.load(key)).flatten()
    }

    fn store(&self, key: &TokenKey, token: &Secret) -> Result<(), TokenStoreError> {
        guard(|| self.0.store(key, token)).unwrap_or_else(panicked)
    }

    fn clear(&self, key: &TokenKey) -> Result<(), TokenStoreError> {
        guard(|| self.0.clear(key)).unwrap_or_else(panicked)
    }
}
