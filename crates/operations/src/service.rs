//! The parts that operations work with, from start to shutdown.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use windlass::agents::Agents;
use windlass::journal::{Journal, JournalWriter, JournalWriterState};
use windlass::{Clock, GatewayId, Windlass};
use windlass_store::{Gateway, GatewayUid, Store, StoreError, Timestamp};

use crate::access::Caller;
use crate::audit::Records;
use crate::caches::{AgentTokenCache, TokenCache};
use crate::directory::{ConfiguredGateway, Directory, DirectoryGateway};
use crate::error::{OperationError, OperationErrorCode};
use crate::job_table::Jobs;
use crate::message_log::MessageLog;
use crate::messages;
use crate::roster::Rosters;
use crate::stream::Feed;

/// Lines that are opened at the same time. Opening one reads a token from a file, on a thread for blocking work.
const LINES_AT_ONCE: usize = 64;
/// The interval between two looks at the records, to which other processes write too.
const LOOK: Duration = Duration::from_secs(5);
/// How long calls under way are waited for when the service ends.
const DRAIN: Duration = Duration::from_secs(5);

/// The parts of a [`Service`].
#[expect(missing_debug_implementations, reason = "a clock has none")]
pub struct ServiceParts {
    /// The lines.
    pub windlass: Windlass,
    /// The records and the journal.
    pub store: Arc<dyn Store>,
    /// The agents of the store, supervised by this process.
    pub agents: Agents,
    /// The writer of the journal; none where events are not recorded.
    pub writer: Option<JournalWriter>,
    /// Gateways that a configuration file names. They have lines already, and no record.
    pub configured: Vec<ConfiguredGateway>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// All that operations work with. Cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    parts: ServiceParts,
    journal: Journal,
    directory: Directory,
    tokens: TokenCache,
    agent_tokens: AgentTokenCache,
    jobs: Jobs,
    rosters: Rosters,
    messages: MessageLog,
    /// Counts the followings of messages.
    lives: AtomicU64,
    feed: Arc<Feed>,
    /// `true` from the beginning of the shutdown on.
    ending: watch::Sender<bool>,
    reconciler: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Service {
    /// Opens the lines of all recorded gateways, and follows the records from now on. Returns when the lines are opened, not when
    /// they are up. Needs a tokio runtime.
    ///
    /// # Errors
    /// The store's.
    pub async fn start(parts: ServiceParts) -> Result<Self, StoreError> {
        let journal = parts.windlass.journal(Arc::clone(&parts.store));
        let directory = Directory::new(parts.configured.clone());
        let inner = Inner {
            parts,
            journal,
            directory,
            tokens: TokenCache::default(),
            agent_tokens: AgentTokenCache::default(),
            jobs: Jobs::default(),
            rosters: Rosters::default(),
            messages: MessageLog::default(),
            lives: AtomicU64::new(0),
            feed: Arc::default(),
            ending: watch::channel(false).0,
            reconciler: std::sync::Mutex::new(None),
        };
        let service = Self { inner: Arc::new(inner) };
        service.reconcile_lines().await?;
        let task = tokio::spawn(service.clone().follow_records());
        if let Ok(mut reconciler) = service.inner.reconciler.lock() {
            *reconciler = Some(task);
        }
        Ok(service)
    }

    /// Ends the service: streams end, calls under way have some seconds, lines are closed, the store is closed. Calling it again does
    /// no harm.
    pub async fn shutdown(&self) {
        self.begin_shutdown();
        let task = self.inner.reconciler.lock().ok().and_then(|mut task| task.take());
        if let Some(task) = task {
            task.abort();
            // An aborted task answers with an error; its end counts.
            let _ = task.await;
        }
        self.windlass().shutdown(DRAIN).await;
        if let Err(error) = self.store().close().await {
            tracing::warn!("the store could not be closed: {error}");
        }
    }

    /// Begins the end: [`ending`](Self::ending) is true from now on, so that fronts take no new work and end their streams.
    pub fn begin_shutdown(&self) {
        self.inner.ending.send_replace(true);
    }

    /// Whether the service ends, as a watch.
    pub fn ending(&self) -> watch::Receiver<bool> {
        self.inner.ending.subscribe()
    }

    /// The lines.
    pub fn windlass(&self) -> &Windlass {
        &self.inner.parts.windlass
    }

    /// The records.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.parts.store
    }

    /// The agents.
    pub fn agents(&self) -> &Agents {
        &self.inner.parts.agents
    }

    /// The journal, to read from.
    pub fn journal(&self) -> &Journal {
        &self.inner.journal
    }

    /// The writer of the journal; none where events are not recorded.
    pub fn journal_writer(&self) -> Option<&JournalWriter> {
        self.inner.parts.writer.as_ref()
    }

    /// The names of the gateways.
    pub(crate) fn directory(&self) -> &Directory {
        &self.inner.directory
    }

    /// Tokens that were looked up lately.
    pub(crate) fn token_cache(&self) -> &TokenCache {
        &self.inner.tokens
    }

    /// Looks each token up anew from now on: after a change.
    pub fn forget_tokens(&self) {
        self.inner.tokens.clear();
    }

    /// Agents that were known by their tokens lately.
    pub(crate) fn agent_token_cache(&self) -> &AgentTokenCache {
        &self.inner.agent_tokens
    }

    /// The jobs.
    pub(crate) fn jobs(&self) -> &Jobs {
        &self.inner.jobs
    }

    /// The records, for a change that a caller makes now.
    pub(crate) fn records<'a>(&'a self, caller: &'a Caller) -> Records<'a> {
        Records {
            store: &**self.store(),
            caller,
            now: self.now(),
        }
    }

    /// The live sessions that were looked at lately.
    pub(crate) fn rosters(&self) -> &Rosters {
        &self.inner.rosters
    }

    /// The messages that are followed.
    pub(crate) fn messages(&self) -> &MessageLog {
        &self.inner.messages
    }

    /// An id for a following of a message.
    pub(crate) fn next_life(&self) -> u64 {
        messages::life(self.now(), self.inner.lives.fetch_add(1, Ordering::Relaxed))
    }

    /// The numbers of the service at this moment.
    pub fn numbers(&self) -> ServiceNumbers {
        // A state without lines is told as 0: a gauge that is not set keeps its last value.
        let states = [
            "connecting",
            "up",
            "waiting",
            "paused",
            "degraded",
            "draining",
            "closed",
        ];
        let mut lines: BTreeMap<&'static str, f64> = states.into_iter().map(|state| (state, 0.0)).collect();
        for line in self.windlass().gateways() {
            *lines.entry(line.status().borrow().state.name()).or_default() += 1.0;
        }
        ServiceNumbers {
            lines,
            streams: as_number(self.feed().viewers()),
            messages: as_number(self.messages().under_way()),
        }
    }

    /// The shared readers of all streams.
    pub(crate) fn feed(&self) -> &Arc<Feed> {
        &self.inner.feed
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        Timestamp::from(self.inner.parts.clock.wall())
    }

    /// Checks that the service can do its work: the store answers, and the journal is written.
    ///
    /// # Errors
    /// [`OperationErrorCode::Unavailable`].
    pub async fn ready(&self) -> Result<(), OperationError> {
        if *self.inner.ending.borrow() {
            return Err(unavailable("The service ends"));
        }
        self.store().next_deadline().await?;
        if let Some(writer) = self.journal_writer()
            && let JournalWriterState::Stalled { why, .. } = &writer.status().borrow().state
        {
            return Err(unavailable(format!("The journal is not written: {why}")));
        }
        Ok(())
    }

    /// Reads the records, and opens, changes or closes lines where a record is new, changed or gone.
    pub(crate) async fn reconcile_lines(&self) -> Result<(), StoreError> {
        let records = self.store().gateways(None).await?;
        let gone = self.directory().replace(&records);
        for id in gone {
            self.close_line(id).await;
        }
        let opened = stream::iter(records).map(|record| {
            let service = self.clone();
            async move { service.open_line(&record).await }
        });
        opened.buffer_unordered(LINES_AT_ONCE).for_each(|()| async {}).await;
        Ok(())
    }

    /// Opens the line of a record, or changes the line when the record describes another way to its gateway.
    pub(crate) async fn open_line(&self, record: &Gateway) {
        let opened = self.agents().control_plane(record).await;
        let problem = opened.err().map(|error| error.to_string());
        if let Some(problem) = &problem {
            tracing::debug!(gateway = %record.id, "its line can't be opened: {problem}");
        }
        self.directory().set_problem(record.id, problem);
    }

    /// Closes the line of a record that is gone.
    pub(crate) async fn close_line(&self, id: GatewayUid) {
        if let Ok(line) = GatewayId::new(id.to_string()) {
            // A line that is not there is what was asked for.
            let _ = self.windlass().remove(&line, DRAIN).await;
        }
    }

    async fn follow_records(self) {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Err(error) = self.reconcile_lines().await {
                // The next look reads the records again.
                tracing::debug!("the records of gateways could not be read: {error}");
            }
        }
    }
}

impl Service {
    /// The line of the gateway that a text names: the id of its record or line, or its name in any case.
    ///
    /// # Errors
    /// [`NotFound`](OperationErrorCode::NotFound); [`NotSent`](OperationErrorCode::NotSent) with the reason, when the gateway has no line.
    pub fn line(&self, text: &str) -> Result<windlass::Gateway, OperationError> {
        // The usual case: the id of a line, found without the lock of the directory.
        if let Ok(id) = GatewayId::new(text)
            && let Some(line) = self.windlass().gateway(&id)
        {
            return Ok(line);
        }
        let not_found = || OperationError::not_found("gateway", text);
        let id = self.directory().line_id(text).ok_or_else(not_found)?;
        self.windlass().gateway(&id).ok_or_else(|| self.no_line(text))
    }

    fn no_line(&self, text: &str) -> OperationError {
        let why = match self.directory().find(text) {
            Some(DirectoryGateway::Recorded(_, Some(problem))) => problem,
            _ => "its line is not open yet".to_owned(),
        };
        OperationError::new(
            OperationErrorCode::NotSent,
            format!("Gateway {text} has no line: {why}"),
            "Correct the record of the gateway.",
        )
    }

    /// The id in the interface of the gateway whose entries are stored under this id.
    pub(crate) fn gateway_name(&self, id: GatewayUid) -> String {
        self.directory().name_of(id)
    }
}

/// The numbers of a service at one moment, as metrics want them.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceNumbers {
    /// Lines by their state.
    pub lines: BTreeMap<&'static str, f64>,
    /// Streams that are open.
    pub streams: f64,
    /// Messages without an end.
    pub messages: f64,
}

/// A count, all of which are far below the first number that is not exact.
fn as_number(count: usize) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}

fn unavailable(why: impl Into<String>) -> OperationError {
    OperationError::new(OperationErrorCode::Unavailable, why, "Ask again later.")
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("windlass", self.windlass())
            .finish_non_exhaustive()
    }
}
