//! Telling how far an operation is.

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use windlass_store::{AgentUid, StepName};

use super::report::{AgentReport, Failure};

/// Progress that may wait in an [`Operation`]: a fleet of a hundred agents between two reads.
const NEWS: usize = 1024;

/// One thing that happened in an operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "news")]
#[non_exhaustive]
pub enum Progress {
    /// The agents that will be worked on are known.
    Planned {
        /// How many.
        agents: usize,
    },
    /// A step of an agent's run began.
    Step {
        /// The agent.
        agent: AgentUid,
        /// Its name.
        name: String,
        /// The step.
        step: StepName,
    },
    /// The gateway's limit on configuration writes makes the operation wait.
    WaitingToWrite {
        /// Agents that wait.
        agents: usize,
        /// For how many more milliseconds at least.
        ms: u64,
    },
    /// An agent is done.
    Ended {
        /// The agent.
        agent: AgentUid,
        /// Its name.
        name: String,
        /// Whether anything was written.
        changed: bool,
        /// Why it failed, if it did.
        failure: Option<Failure>,
    },
}

impl Progress {
    pub(crate) fn ended(report: &AgentReport) -> Self {
        Self::Ended {
            agent: report.agent,
            name: report.name.clone(),
            changed: report.changes.any(),
            failure: report.failure.clone(),
        }
    }
}

/// The sender of an operation's progress. Unread progress is dropped: the report has all that counts.
#[derive(Debug, Clone)]
pub(crate) struct ProgressSender(Option<mpsc::Sender<Progress>>);

impl ProgressSender {
    pub(crate) const fn nobody() -> Self {
        Self(None)
    }

    pub(crate) fn tell(&self, news: Progress) {
        if let Some(sender) = &self.0 {
            // Full or closed: nobody looks.
            let _ = sender.try_send(news);
        }
    }
}

/// An operation under way: its news as they come, and its report at the end. It goes on when this is dropped.
#[derive(Debug)]
pub struct Operation<T> {
    news: mpsc::Receiver<Progress>,
    end: oneshot::Receiver<T>,
}

/// The provisioner is gone, or broke off; runs under way go on when it is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the provisioner stopped before this was done; what was begun is taken up again at its next start")]
pub struct Interrupted;

impl<T> Operation<T> {
    pub(crate) fn new() -> (Self, ProgressSender, oneshot::Sender<T>) {
        let (progress, news) = mpsc::channel(NEWS);
        let (reporter, end) = oneshot::channel();
        (Self { news, end }, ProgressSender(Some(progress)), reporter)
    }

    /// The next news; nothing when the operation is over.
    pub async fn next(&mut self) -> Option<Progress> {
        self.news.recv().await
    }

    /// Waits for the report.
    ///
    /// # Errors
    /// [`Interrupted`], when the provisioner stopped first.
    pub async fn report(mut self) -> Result<T, Interrupted> {
        self.news.close();
        self.end.await.map_err(|_| Interrupted)
    }
}
