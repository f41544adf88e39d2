//! A recorder, for those who start it and stop it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use windlass_store::{OwnError, Ownership, Retention, Store, StoreError};

use super::recording::Task;
use super::status::{RecorderState, RecorderStatus};
use windlass_protocol::time::after;

use windlass_line::RegistryError;
use windlass_line::clock::{Clock, sleep_until};
use windlass_line::line::Line;
use windlass_line::routing::{Backlog, EventFilter, Overflow, SlowPolicy, Subscription};
use windlass_line::supervision::{Restarts, guarded};
use windlass_line::turns::named;

/// What may wait of one gateway while the store is busy: 8192 items, ten seconds of a gateway that streams 800 events a second,
/// in 64 MiB at most. Then the oldest are dropped, and marked.
pub const DEFAULT_BACKLOG: Backlog = Backlog {
    items: 8192,
    bytes: Overflow::BYTES,
    slow: SlowPolicy::DropOldest,
};

/// How long a recorder that is told to stop tries to store what it holds. A store that takes nothing for so long is left.
pub const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What to record, and how much of it to keep.
#[derive(Debug, Clone)]
pub struct RecorderSettings {
    /// Which events, and whether snapshots come with their markers. Everything without snapshots, unless said otherwise.
    pub filter: EventFilter,
    /// What is kept. Everything, unless said otherwise.
    pub retention: Retention,
    /// What may wait of one gateway. However it is full, what is dropped is marked.
    pub backlog: Backlog,
}

impl Default for RecorderSettings {
    fn default() -> Self {
        Self {
            filter: EventFilter::all(),
            retention: Retention::default(),
            backlog: DEFAULT_BACKLOG,
        }
    }
}

/// A handle of a recorder, for any thread. When the last one is dropped, the recorder stops in good order.
#[derive(Clone)]
pub struct Recorder {
    handle: Arc<Handle>,
}

/// See [`Recorder::downgrade`].
#[derive(Clone)]
pub struct WeakRecorder(Weak<Handle>);

impl WeakRecorder {
    /// The recorder, unless it stopped because nobody held it.
    pub fn upgrade(&self) -> Option<Recorder> {
        self.0.upgrade().map(|handle| Recorder { handle })
    }
}

impl fmt::Debug for WeakRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakRecorder")
    }
}

struct Handle {
    shared: Arc<Shared>,
    status: watch::Receiver<RecorderStatus>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
    }
}

/// What a recorder's handles and its task have in common.
pub(super) struct Shared {
    pub(super) settings: RecorderSettings,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    /// Lines that it records, and whether it has begun with them.
    lines: Mutex<Vec<Joined>>,
    /// There are lines to begin with.
    pub(super) joined: Notify,
    pub(super) stop: watch::Sender<bool>,
}

struct Joined {
    line: Arc<Line>,
    begun: bool,
    /// What came since it joined, until the task begins with it.
    events: Option<Subscription>,
}

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecorderError {
    /// Another process records into this store.
    #[error(transparent)]
    Own(#[from] OwnError),
    /// The journal can't be opened, or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Windlass was shut down.
    #[error(transparent)]
    Windlass(#[from] RegistryError),
}

/// What is to run on a machine so that something is recorded.
#[must_use = "a recorder that does not run records nothing"]
pub struct Recording {
    shared: Arc<Shared>,
    status: watch::Sender<RecorderStatus>,
    ownership: Ownership,
}

impl Recorder {
    /// Takes the right to write the store's journal: a recorder, and what is to be run for it.
    ///
    /// # Errors
    /// [`RecorderError::Own`], [`RecorderError::Store`].
    pub async fn open(
        store: Arc<dyn Store>,
        settings: RecorderSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Recording), RecorderError> {
        let ownership = store.own_journal().await?;
        let newest = store.journal_extent().await?.newest;
        let known = RecorderStatus {
            newest,
            ..RecorderStatus::default()
        };
        let (status, watched) = watch::channel(known);
        let shared = Arc::new(Shared {
            settings,
            store,
            clock,
            lines: Mutex::default(),
            joined: Notify::new(),
            stop: watch::Sender::new(false),
        });
        let recording = Recording {
            shared: Arc::clone(&shared),
            status,
            ownership,
        };
        let handle = Handle {
            shared,
            status: watched,
        };
        let handle = Arc::new(handle);
        Ok((Self { handle }, recording))
    }

    /// A handle that does not keep the recorder from stopping.
    pub fn downgrade(&self) -> WeakRecorder {
        WeakRecorder(Arc::downgrade(&self.handle))
    }

    /// Records this line from now on. One that is recorded already goes on as it is.
    pub fn record(&self, line: Arc<Line>) {
        self.handle.shared.join(line);
    }

    /// How it is, watchable. The watch ends with the recorder.
    pub fn status(&self) -> watch::Receiver<RecorderStatus> {
        self.handle.status.clone()
    }

    /// Where it records.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.handle.shared.store
    }

    /// Where time is read.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.handle.shared.clock)
    }

    /// Stops it, and waits until what it holds is stored, [`STOP_WITHIN`] at most. Its streams end then.
    pub async fn stop(&self) {
        self.handle.shared.stop.send_replace(true);
        let mut status = self.status();
        // An error is the end of the task, however it came.
        let _ = status.wait_for(|status| status.state == RecorderState::Ended).await;
    }
}

impl Shared {
    fn join(&self, line: Arc<Line>) {
        let mut lines = self.lines();
        if lines.iter().all(|known| !Arc::ptr_eq(&known.line, &line)) {
            let events = Some(self.subscribe(&line));
            lines.push(Joined {
                line,
                begun: false,
                events,
            });
            self.joined.notify_one();
        }
    }

    fn subscribe(&self, line: &Line) -> Subscription {
        line.subscribe(self.settings.filter.clone(), self.settings.backlog)
    }

    /// The lines to begin with, once each, and what they bring.
    pub(super) fn to_begin(&self) -> Vec<(Arc<Line>, Subscription)> {
        let mut lines = self.lines();
        let waiting = lines.iter_mut().filter(|joined| !joined.begun);
        let begin = waiting.map(|joined| {
            joined.begun = true;
            let events = joined.events.take().unwrap_or_else(|| self.subscribe(&joined.line));
            (Arc::clone(&joined.line), events)
        });
        begin.collect()
    }

    /// The lines that were begun with, and are not closed.
    pub(super) fn begun(&self) -> Vec<Arc<Line>> {
        let lines = self.lines();
        let begun = lines.iter().filter(|line| line.begun);
        begun.map(|line| Arc::clone(&line.line)).collect()
    }

    /// A line is closed for good.
    pub(super) fn leave(&self, line: &Arc<Line>) {
        self.lines().retain(|known| !Arc::ptr_eq(&known.line, line));
    }

    /// Every line has to be begun with again.
    fn begin_again(&self) {
        self.lines().iter_mut().for_each(|line| line.begun = false);
    }

    /// Reads what the journal has: a task that panicked may have stored more than it came to say. Whether it could be read.
    async fn find_newest(&self, status: &watch::Sender<RecorderStatus>) -> bool {
        match self.store.journal_extent().await {
            Ok(extent) => {
                status.send_modify(|status| status.newest = extent.newest);
                true
            }
            Err(error) => {
                tracing::warn!("the journal can't be read, and is tried again: {error}");
                false
            }
        }
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Joined>> {
        // A list of lines is whole after any panic: nothing is changed in two steps.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recording {
    /// Runs until the last handle is dropped, or it is stopped. Must be polled within a `LocalSet` with tokio's time.
    pub async fn run(self) {
        named("recorder", None, self.keep_recording()).await;
    }

    async fn keep_recording(self) {
        let Self {
            shared,
            status,
            ownership,
        } = self;
        let (status, mut restarts) = (Arc::new(status), Restarts::of("recorder"));
        let mut stop = shared.stop.subscribe();
        loop {
            let task = Task::new(Arc::clone(&shared), Arc::clone(&status));
            let Err(panic) = guarded(task.run()).await else {
                break;
            };
            let rest = restarts.panicked(shared.clock.now(), &panic);
            // What the next one records stands behind a marked hole.
            shared.begin_again();
            loop {
                tokio::select! {
                    biased;
                    () = sleep_until(after(shared.clock.now(), rest.delay)) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
                if shared.find_newest(&status).await || *stop.borrow() {
                    break;
                }
            }
        }
        // Whoever is told of the end may take the right at once.
        drop(ownership);
        status.send_modify(|status| status.state = RecorderState::Ended);
    }
}

impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line.id().fmt(f)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("status", &*self.handle.status.borrow())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").finish_non_exhaustive()
    }
}
