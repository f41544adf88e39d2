//! A line: the state that stays while its connections come and go.
//!
//! Callers hold a [`Line`] from any thread; its other half, [`LineBackend`], lives on the shard's thread.
//!
//! ```text
//!   any thread                          the shard's thread
//!   Line ── inbox (bounded) ─────────▶ PendingCalls: the calls, driven by the connection or the supervisor
//!                                      Backstop (a thread of its own): their deadlines, should this one be late
//!        ◀─ status (watch) ──────────── StatusCell: the line's state machine
//!        ◀─ subscriptions (bounded) ─── Router: every event, once
//! ```

mod backstop;
mod call;
mod calling;
mod extensions;
mod inbox;
mod pending_calls;
mod reconnect_state;
mod status;
mod topic_table;

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, watch};
use windlass_protocol::connection::CallLimits;
use windlass_protocol::time::after;
use windlass_protocol::{CallError, GatewayId, Generation, RawJson};

pub use backstop::Backstop;
pub use call::OutgoingCall;
pub(crate) use call::{Ended, Reply};
pub use calling::Calling;
use extensions::Extensions;
use inbox::{Entrance, Inbox};
use pending_calls::{PendingCalls, PendingCallsCell};
pub(crate) use pending_calls::{PendingCallsOwner, drive_calls_until};
pub(crate) use reconnect_state::ReconnectState;
pub(crate) use status::StatusCell;
pub use status::{LineError, LineErrorKind, LineState, LineStatus, StatusWatch};
pub(crate) use topic_table::TopicTable;
pub use topic_table::{MAX_TOPICS, ResyncCounters, SNAPSHOT_SESSIONS, TooManyTopics, TopicSubscription};

use crate::clock::Clock;
use crate::registry::Registration;
use crate::routing::{Backlog, EventFilter, Router, Subscription, Topic};
use crate::telemetry::{CallMeter, LineMeter, Metering};

/// One gateway's line, for callers. Cheap to share; usable from any thread.
pub struct Line {
    id: GatewayId,
    clock: Arc<dyn Clock>,
    inbox: Inbox,
    status: StatusWatch,
    router: Arc<Router>,
    topics: Arc<TopicTable>,
    meter: CallMeter,
    extensions: Extensions,
}

/// The shard's half of a line.
pub struct LineBackend {
    pub(crate) pending: PendingCallsOwner,
    pub(crate) status: StatusCell,
    pub(crate) router: Arc<Router>,
    pub(crate) topics: Arc<TopicTable>,
    /// The line's entry in a directory, which is there as long as the line is.
    pub(crate) registration: Option<Registration>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("id", &self.id).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for LineBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineBackend").finish_non_exhaustive()
    }
}

impl Line {
    /// Makes both halves of a line. `metering` says how much of it the recorder of metrics is told (feature `metrics`).
    pub fn new(
        id: GatewayId,
        limits: CallLimits,
        clock: Arc<dyn Clock>,
        metering: Metering,
        backstop: Option<Backstop>,
    ) -> (Self, LineBackend) {
        let (inbox, pending) = open_calls(limits, &*clock, backstop);
        let (cell, status) = StatusCell::new(id.clone(), Arc::clone(&clock));
        let router = Arc::new(Router::new(LineMeter::new(&id, metering)));
        let topics = Arc::new(TopicTable::new(id.clone(), Arc::clone(&router)));
        let ends = LineBackend {
            pending,
            status: cell,
            router: Arc::clone(&router),
            topics: Arc::clone(&topics),
            registration: None,
        };
        (
            Self {
                meter: CallMeter::new(&id, metering),
                id,
                clock,
                inbox,
                status,
                router,
                topics,
                extensions: Extensions::default(),
            },
            ends,
        )
    }

    /// The gateway's id.
    pub const fn id(&self) -> &GatewayId {
        &self.id
    }

    /// The time by which deadlines are given.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The time of day, for records.
    pub fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    /// The line's state, watchable.
    pub fn status(&self) -> watch::Receiver<LineStatus> {
        self.status.receiver().clone()
    }

    /// The same for tasks of actors: they are woken in the order in which they came.
    pub const fn watched_status(&self) -> &StatusWatch {
        &self.status
    }

    /// The connection that is up, or was up last.
    pub fn generation(&self) -> Generation {
        self.status.receiver().borrow().generation
    }

    /// Receives events from now on. `backlog` is the number of events that wait for a slow subscriber, and the policy for more:
    /// a number is [`Backlog::items`].
    pub fn subscribe(&self, filter: EventFilter, backlog: impl Into<Backlog>) -> Subscription {
        self.router.subscribe(filter, backlog).of(&self.id)
    }

    /// Keeps a topic subscribed, over all reconnects, for as long as the answer is held; loads it now.
    ///
    /// # Errors
    /// When [`MAX_TOPICS`] are kept already.
    pub fn subscribe_topic(&self, topic: Topic) -> Result<TopicSubscription, TooManyTopics> {
        self.topics.subscribe_topic(topic, &self.inbox)
    }

    /// A value that another crate keeps for this line: one for each type, made at the first use.
    pub fn extension<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.extensions.get()
    }

    /// Calls the gateway.
    ///
    /// Must run within a tokio runtime with time. Dropping the future cancels the call: it is not sent if it was not
    /// yet, and its place is freed.
    ///
    /// # Errors
    /// [`CallError`]: one of the four ends that are not a payload, by the call's deadline at the
    /// latest.
    pub fn call(&self, call: OutgoingCall) -> Calling<&Self> {
        Self::call_at(self, call, self.now())
    }

    /// Calls the gateway, and again after each failure for which `failed` gives a wait. Each attempt may take `timeout`.
    ///
    /// # Errors
    /// The last attempt's [`CallError`].
    pub async fn call_again(
        &self,
        mut call: OutgoingCall,
        timeout: Duration,
        mut failed: impl FnMut(&CallError) -> Option<Duration>,
    ) -> Result<RawJson, CallError> {
        loop {
            call.deadline = after(self.now(), timeout);
            let error = match self.call(call.clone()).await {
                Ok(payload) => return Ok(payload),
                Err(error) => error,
            };
            let Some(wait) = failed(&error) else {
                return Err(error);
            };
            tracing::debug!(gateway = %self.id, method = %call.method, ?wait, "the call is made again");
            tokio::time::sleep(wait).await;
        }
    }

    /// [`call`](Self::call) by a caller that knows the time, through any holder of the line.
    pub fn call_at<L: Deref<Target = Self> + Unpin>(line: L, call: OutgoingCall, now: Instant) -> Calling<L> {
        Calling::begin(line, call, now)
    }
}

/// Both ends of a line's inbox.
fn open_calls(limits: CallLimits, clock: &dyn Clock, backstop: Option<Backstop>) -> (Inbox, PendingCallsOwner) {
    // Bounded by the places: each call has one, and beside the calls there is one message of each kind.
    #[expect(clippy::disallowed_methods, reason = "the entrance bounds it")]
    let (sender, receiver) = mpsc::unbounded_channel();
    let entrance = Arc::new(Entrance::new(limits.waiting));
    let pending = PendingCalls::new(receiver, Arc::clone(&entrance), limits);
    let pending = Arc::new(PendingCallsCell::new(pending, backstop, clock.now()));
    let inbox = Inbox::new(sender, entrance, Arc::clone(&pending));
    (inbox, PendingCallsOwner(pending))
}
