//! How far an operation is, its reports at the end, and why a step failed.

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use windlass_protocol::Advise as _;
use windlass_store::resolver::ResolveError;
use windlass_store::{AgentUid, GatewayUid, StepName, StoreError};
use windlass_templates::TemplateError;

use super::content::AgentRecordsError;
use crate::control_plane::ControlError;

/// StepError an agent's run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionFailure {
    /// The step that failed.
    pub step: StepName,
    /// The failure in one sentence.
    pub summary: String,
    /// The next step of an operator.
    pub next_step: String,
    /// Whether it was a passing trouble that outlasted the retries: the gateway, not the agent.
    pub transient: bool,
}

impl std::fmt::Display for ProvisionFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.step, self.summary, self.next_step)
    }
}

/// The changes that a run made for an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one run")]
pub struct Changes {
    /// The agent was made.
    pub created: bool,
    /// Its name or workspace was corrected.
    pub updated: bool,
    /// Its heartbeat or its entry in the configuration was written.
    pub config: bool,
    /// Files that were written.
    pub written: Vec<String>,
    /// Files that the agent has made its own, and that were left alone.
    pub preserved: Vec<String>,
    /// Files that were deleted.
    pub deleted: Vec<String>,
    /// Files that the gateway does not take.
    pub unsupported: Vec<String>,
    /// The heartbeat's instructions were written.
    pub scratch: bool,
    /// It has a new token.
    pub rotated: bool,
    /// Its session was reset.
    pub reset: bool,
    /// It was woken.
    pub woken: bool,
    /// It was taken off the gateway.
    pub removed: bool,
    /// Its record was taken out of the store, and its gateway was not asked.
    pub forgotten: bool,
}

impl Changes {
    /// Adds the changes of another part of the same run.
    pub(crate) fn add(&mut self, more: Self) {
        self.created |= more.created;
        self.updated |= more.updated;
        self.config |= more.config;
        self.scratch |= more.scratch;
        self.rotated |= more.rotated;
        self.reset |= more.reset;
        self.woken |= more.woken;
        self.removed |= more.removed;
        self.forgotten |= more.forgotten;
        for (mine, more) in [
            (&mut self.written, more.written),
            (&mut self.preserved, more.preserved),
            (&mut self.deleted, more.deleted),
            (&mut self.unsupported, more.unsupported),
        ] {
            let new: Vec<_> = more.into_iter().filter(|name| !mine.contains(name)).collect();
            mine.extend(new);
        }
    }

    /// Whether anything was written or sent at all.
    pub fn any(&self) -> bool {
        let Self {
            created,
            updated,
            config,
            written,
            preserved: _,
            deleted,
            unsupported: _,
            scratch,
            rotated,
            reset,
            woken,
            removed,
            forgotten,
        } = self;
        *created
            || *updated
            || *config
            || !written.is_empty()
            || !deleted.is_empty()
            || *scratch
            || *rotated
            || *reset
            || *woken
            || *removed
            || *forgotten
    }
}

/// How one agent came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentReport {
    /// The agent.
    pub agent: AgentUid,
    /// Its name.
    pub name: String,
    /// The changes, up to the failure if there was one.
    pub changes: Changes,
    /// Warnings that deserve a look though nothing failed.
    pub warnings: Vec<String>,
    /// StepError it failed, if it did.
    pub failure: Option<ProvisionFailure>,
    /// StepError nothing was tried, if so.
    pub skipped: Option<String>,
}

/// How the agents of an operation came out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetReport {
    /// One for each, in the order in which they were asked for.
    pub agents: Vec<AgentReport>,
    /// Gateways that could not be worked with at all.
    pub gateways: Vec<GatewayFailure>,
    /// Writes of gateways' configurations that it took.
    pub config_writes: u64,
}

impl FleetReport {
    /// The agents with a failed run.
    pub fn failed(&self) -> impl Iterator<Item = &AgentReport> {
        self.agents.iter().filter(|agent| agent.failure.is_some())
    }

    /// The agents for which something was written.
    pub fn changed(&self) -> impl Iterator<Item = &AgentReport> {
        self.agents.iter().filter(|agent| agent.changes.any())
    }

    /// Whether every agent is as it should be.
    pub fn all_done(&self) -> bool {
        let done = |agent: &AgentReport| agent.failure.is_none() && agent.skipped.is_none();
        self.gateways.is_empty() && self.agents.iter().all(done)
    }
}

/// A gateway that could not be worked with at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayFailure {
    /// The gateway.
    pub gateway: GatewayUid,
    /// The failure in one sentence.
    pub summary: String,
    /// The next step of an operator.
    pub next_step: String,
}

/// A step that failed.
#[derive(Debug)]
pub(crate) struct FailedStep {
    pub(crate) step: StepName,
    pub(crate) why: StepError,
}

impl FailedStep {
    /// Whether the agent's record was changed since it was read.
    pub(crate) const fn is_conflict(&self) -> bool {
        matches!(self.why, StepError::Store(StoreError::Conflict { .. }))
    }
}

/// StepError a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error("there is no such agent")]
    Gone,
    #[error("no AUTH_TOKEN was found in the agent's {file}")]
    TokenMissing { file: String },
    #[error("the gateway does not take a lead's {file}")]
    FileRefused { file: String },
    #[error("the gateway stopped answering while other agents were worked on")]
    GatewayLost,
}

impl FailedStep {
    pub(crate) fn at(step: StepName, why: impl Into<StepError>) -> Self {
        Self { step, why: why.into() }
    }

    /// Whether it was the gateway and not this agent: a passing trouble that outlasted the retries.
    pub(crate) fn is_transient(&self) -> bool {
        match &self.why {
            StepError::Control(error) => error.is_transient() || error.is_closed(),
            StepError::GatewayLost => true,
            _ => false,
        }
    }

    pub(crate) fn explain(&self) -> ProvisionFailure {
        let (summary, next_step) = match &self.why {
            StepError::Control(error) => {
                let advice = error.advice();
                (format!("{error}"), advice.next_step.into_owned())
            }
            other => (other.to_string(), other.next_step().to_owned()),
        };
        ProvisionFailure {
            step: self.step,
            summary,
            next_step,
            transient: self.is_transient(),
        }
    }
}

impl StepError {
    fn next_step(&self) -> &'static str {
        match self {
            Self::Control(_) => "",
            Self::Store(_) => "Look at the store: what was done on the gateway is found again by the next run.",
            Self::Template(_) => "Correct the template; nothing was written for this agent.",
            Self::Resolve(_) => "Correct the record of the board or the gateway.",
            Self::Gone => "Add the agent again if it is still wanted.",
            Self::TokenMissing { .. } => "Sync with rotated tokens, which gives the agent a new one.",
            Self::FileRefused { .. } => "Compare the gateway's release with the supported ones.",
            Self::GatewayLost => "Run it again when the gateway is back: it goes on with what is missing.",
        }
    }
}

impl From<AgentRecordsError> for StepError {
    fn from(error: AgentRecordsError) -> Self {
        match error {
            AgentRecordsError::Gone => Self::Gone,
            AgentRecordsError::Resolve(error) => Self::Resolve(error),
            AgentRecordsError::Store(error) => Self::Store(error),
        }
    }
}

/// Progress that may wait in an [`Operation`]: a fleet of a hundred agents between two reads.
const NEWS: usize = 1024;

/// One thing that happened in an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "news")]
#[non_exhaustive]
pub enum ProvisionProgress {
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
        /// StepError it failed, if it did.
        failure: Option<ProvisionFailure>,
    },
}

impl ProvisionProgress {
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
pub(crate) struct ProgressSender(Option<mpsc::Sender<ProvisionProgress>>);

impl ProgressSender {
    pub(crate) const fn nobody() -> Self {
        Self(None)
    }

    pub(crate) fn tell(&self, news: ProvisionProgress) {
        if let Some(sender) = &self.0 {
            // Full or closed: nobody looks.
            let _ = sender.try_send(news);
        }
    }
}

/// An operation under way: its news as they come, and its report at the end. It goes on when this is dropped.
#[derive(Debug)]
pub struct Operation<T> {
    news: mpsc::Receiver<ProvisionProgress>,
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
    pub async fn next(&mut self) -> Option<ProvisionProgress> {
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
