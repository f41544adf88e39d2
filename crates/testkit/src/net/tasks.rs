//! Tasks that end with their owner.

use std::sync::{Mutex, PoisonError};

use tokio::task::JoinSet;

/// Tasks of one gateway or proxy. Dropping the result of [`take`](Self::take) aborts them.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<JoinSet<()>>);

impl Tasks {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Finished tasks are let go here, so that the set holds only those that run.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    pub(crate) fn take(&self) -> JoinSet<()> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
