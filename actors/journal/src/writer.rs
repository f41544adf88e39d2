//! Handles of a writer, and its supervision.

use std::fmt;
use std::sync::{Arc, Weak};

use tokio::sync::watch;
use windlass_line::RegistryError;
use windlass_line::clock::{Clock, sleep_until};
use windlass_line::line::Line;
use windlass_line::stall_detector::instrument;
use windlass_line::supervision::{Restarts, guarded};
use windlass_protocol::time::after;
use windlass_store::{OwnError, Ownership, Store, StoreError};

use crate::state::{JournalWriterConfig, JournalWriterState, JournalWriterStatus, SharedWriterState};
use crate::task::WriterLoop;

/// A handle of a writer, for any thread. When the last one is dropped, the writer stops in good order.
#[derive(Clone)]
pub struct JournalWriter {
    handle: Arc<WriterHandle>,
}

/// See [`JournalWriter::downgrade`].
#[derive(Clone)]
pub struct WeakJournalWriter(Weak<WriterHandle>);

impl WeakJournalWriter {
    /// The writer, unless its last handle was dropped.
    pub fn upgrade(&self) -> Option<JournalWriter> {
        self.0.upgrade().map(|handle| JournalWriter { handle })
    }
}

impl fmt::Debug for WeakJournalWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakJournalWriter")
    }
}

struct WriterHandle {
    shared: Arc<SharedWriterState>,
    status: watch::Receiver<JournalWriterStatus>,
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
    }
}

/// The reason why a writer can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalWriterError {
    /// Another process writes the journal of this store.
    #[error(transparent)]
    Own(#[from] OwnError),
    /// The journal can't be opened, or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Windlass was shut down.
    #[error(transparent)]
    Windlass(#[from] RegistryError),
}

/// The task of a writer. It must run on a shard of its process.
#[must_use = "a writer that does not run records nothing"]
pub struct JournalWriterTask {
    shared: Arc<SharedWriterState>,
    status: watch::Sender<JournalWriterStatus>,
    ownership: Ownership,
}

impl JournalWriter {
    /// Takes the right to write the store's journal, and makes a writer and its task.
    ///
    /// # Errors
    /// [`JournalWriterError::Own`], [`JournalWriterError::Store`].
    pub async fn open(
        store: Arc<dyn Store>,
        settings: JournalWriterConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, JournalWriterTask), JournalWriterError> {
        let ownership = store.own_journal().await?;
        let newest = store.journal_extent().await?.newest;
        let known = JournalWriterStatus {
            newest,
            ..JournalWriterStatus::default()
        };
        let (status, watched) = watch::channel(known);
        let shared = Arc::new(SharedWriterState::new(settings, store, clock));
        let task = JournalWriterTask {
            shared: Arc::clone(&shared),
            status,
            ownership,
        };
        let handle = WriterHandle {
            shared,
            status: watched,
        };
        let handle = Arc::new(handle);
        Ok((Self { handle }, task))
    }

    /// A handle that does not keep the writer from stopping.
    pub fn downgrade(&self) -> WeakJournalWriter {
        WeakJournalWriter(Arc::downgrade(&self.handle))
    }

    /// Records this line from now on. Does nothing for a line that is recorded already.
    pub fn record(&self, line: Arc<Line>) {
        self.handle.shared.join(line);
    }

    /// Its status, as a watch. The watch ends with the writer.
    pub fn status(&self) -> watch::Receiver<JournalWriterStatus> {
        self.handle.status.clone()
    }

    /// Its store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.handle.shared.store
    }

    /// Its clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.handle.shared.clock)
    }

    /// Stops the writer, and waits until its last entries are stored, [`STOP_TIMEOUT`](crate::STOP_TIMEOUT) at most. Then the readers that follow it end.
    pub async fn stop(&self) {
        self.handle.shared.stop.send_replace(true);
        let mut status = self.status();
        // An error is the end of the task, however it came.
        let _ = status
            .wait_for(|status| status.state == JournalWriterState::Ended)
            .await;
    }
}

impl JournalWriterTask {
    /// Runs until the last handle is dropped, or it is stopped. Must be polled within a `LocalSet` with tokio's time.
    pub async fn run(self) {
        instrument("journal", None, self.keep_writing()).await;
    }

    async fn keep_writing(self) {
        let Self {
            shared,
            status,
            ownership,
        } = self;
        let (status, mut restarts) = (Arc::new(status), Restarts::of("journal"));
        let mut stop = shared.stop.subscribe();
        loop {
            let task = WriterLoop::new(Arc::clone(&shared), Arc::clone(&status));
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
        status.send_modify(|status| status.state = JournalWriterState::Ended);
    }
}

impl fmt::Debug for JournalWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalWriter")
            .field("status", &*self.handle.status.borrow())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for JournalWriterTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalWriterTask").finish_non_exhaustive()
    }
}
