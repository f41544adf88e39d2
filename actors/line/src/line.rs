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
mod disconnect_reason;
mod pending_calls;
mod reconnect_state;
mod status;
mod topic_table;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, watch};
use windlass_protocol::connection::CallLimits;
use windlass_protocol::time::after;
use windlass_protocol::{CallError, GatewayId, Generation, RawJson, StoreAction};

pub use backstop::Backstop;
pub(crate) use call::CallReply;
pub use call::{Calling, OutgoingCall};
pub(crate) use disconnect_reason::DisconnectReason;
use pending_calls::{Inbox, InboxState, PendingCalls, PendingCallsCell};
pub(crate) use pending_calls::{PendingCallsOwner, drive_calls_until};
pub(crate) use reconnect_state::ReconnectState;
pub(crate) use status::StatusCell;
pub use status::{LineError, LineErrorKind, LineState, LineStatus, StatusWatch};
pub(crate) use topic_table::TopicTable;
pub use topic_table::{MAX_TOPICS, ResyncCounters, SNAPSHOT_SESSIONS, TooManyTopics};

use crate::GatewaySpec;
use crate::clock::Clock;
use crate::routing::{Backlog, EventFilter, Router, Subscription, Topic};
use crate::shard::ShardContext;
use crate::telemetry::{CallMeter, LineMeter, Metering};
use crate::tokens::TokenKeeper;

/// One gateway's line, for callers. Cheap to share; usable from any thread.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use windlass_line::{Backlog, EventFilter, Line, OutgoingCall};
/// # async fn example(line: Arc<Line>, call: OutgoingCall) -> Result<(), windlass_protocol::CallError> {
/// let mut events = line.subscribe(EventFilter::all().name("chat"), Backlog::items(256));
/// let payload = line.call(call).await?;
/// println!("{} answered {}", line.id(), payload.as_str());
/// while let Some(item) = events.next().await {
///     println!("{item:?}");
/// }
/// # Ok(())
/// # }
/// ```
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
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for LineBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let backend = LineBackend {
            pending,
            status: cell,
            router: Arc::clone(&router),
            topics: Arc::clone(&topics),
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
            backend,
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
    /// ```no_run
    /// # fn example(line: &windlass_line::Line) -> Result<(), windlass_line::TooManyTopics> {
    /// use windlass_line::Topic;
    ///
    /// let sessions = line.subscribe_topic(Topic::Sessions)?;
    /// // After a loss on the subscriber's side:
    /// sessions.resync();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When [`MAX_TOPICS`] are kept already.
    pub fn subscribe_topic(&self, topic: Topic) -> Result<TopicSubscription, TooManyTopics> {
        self.topics.hold(&topic)?;
        self.inbox.notify_topics();
        Ok(TopicSubscription {
            topic,
            topics: Arc::clone(&self.topics),
            inbox: self.inbox.clone(),
        })
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

/// A topic that is kept subscribed for as long as this is held, by this or another holder.
#[must_use = "a topic is subscribed for as long as its declaration is held"]
pub struct TopicSubscription {
    topic: Topic,
    topics: Arc<TopicTable>,
    inbox: Inbox,
}

impl TopicSubscription {
    /// The topic.
    pub const fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Loads the topic again, for a subscriber that lost something on its own side
    /// ([`Marker::Lagged`](crate::routing::Marker::Lagged)). Requests while it is being loaded cost one more load
    /// at most.
    pub fn resync(&self) {
        self.topics.reload(&self.topic);
        self.inbox.notify_topics();
    }
}

impl fmt::Debug for TopicSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicSubscription")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Drop for TopicSubscription {
    fn drop(&mut self) {
        self.topics.release(&self.topic);
        self.inbox.notify_topics();
    }
}

/// Both ends of a line's inbox.
fn open_calls(limits: CallLimits, clock: &dyn Clock, backstop: Option<Backstop>) -> (Inbox, PendingCallsOwner) {
    // Bounded by the places: each call has one, and beside the calls there is one message of each kind.
    #[expect(clippy::disallowed_methods, reason = "the places of the inbox bound it")]
    let (sender, receiver) = mpsc::unbounded_channel();
    let state = Arc::new(InboxState::new(limits.waiting));
    let pending = PendingCalls::new(receiver, Arc::clone(&state), limits);
    let pending = Arc::new(PendingCallsCell::new(pending, backstop, clock.now()));
    let inbox = Inbox::new(sender, state, Arc::clone(&pending));
    (inbox, PendingCallsOwner(pending))
}

/// One line, as its supervisor and its connection see it. Everything in it outlives the line's connections.
pub(crate) struct LineContext {
    pub(crate) id: GatewayId,
    pub(crate) shard: Rc<ShardContext>,
    pub(crate) pending: PendingCallsOwner,
    pub(crate) router: Arc<Router>,
    pub(crate) topics: Arc<TopicTable>,
    pub(crate) status: StatusCell,
    pub(crate) reconnect: RefCell<ReconnectState>,
    pub(crate) tokens: TokenKeeper,
    /// It was told to close: it is never connected again.
    pub(crate) stopping: Cell<bool>,
    spec: RefCell<Rc<GatewaySpec>>,
}

impl LineContext {
    pub(crate) fn new(spec: GatewaySpec, backend: LineBackend, shard: Rc<ShardContext>, seed: u64) -> Self {
        Self {
            id: spec.id.clone(),
            shard,
            pending: backend.pending,
            router: backend.router,
            topics: backend.topics,
            status: backend.status,
            reconnect: RefCell::new(ReconnectState::new(&spec, seed)),
            tokens: TokenKeeper::default(),
            stopping: Cell::new(false),
            spec: RefCell::new(Rc::new(spec)),
        }
    }

    pub(crate) fn spec(&self) -> Rc<GatewaySpec> {
        Rc::clone(&self.spec.borrow())
    }

    /// Has the store of tokens carry the order out; returns at once.
    pub(crate) fn keep_token(&self, action: StoreAction) {
        if !matches!(action, StoreAction::Keep) {
            self.tokens.keep(&self.shard.tokens, self.spec().token_key(), action);
        }
    }

    /// Changes how the gateway is reached. Known facts about the old way are forgotten.
    pub(crate) fn update(&self, spec: GatewaySpec) {
        self.reconnect.borrow_mut().forget(&spec);
        self.spec.replace(Rc::new(spec));
    }
}

/// One value for each type. A list and not a map: there is one type at present.
#[derive(Default)]
struct Extensions(Mutex<Vec<Arc<dyn Any + Send + Sync>>>);

impl Extensions {
    /// The value of this type, made if there is none yet.
    fn get<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        // Only ever appended to, in one step.
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = values.iter().find_map(|value| Arc::clone(value).downcast().ok());
        known.unwrap_or_else(|| {
            let made = Arc::new(T::default());
            values.push(Arc::clone(&made) as Arc<dyn Any + Send + Sync>);
            made
        })
    }
}

#[cfg(test)]
mod extensions_tests {
    use std::sync::atomic::{AtomicBool, AtomicU32};

    use super::*;

    #[test]
    fn each_type_has_one_value() {
        let extensions = Extensions::default();
        let first = extensions.get::<AtomicU32>();
        assert!(Arc::ptr_eq(&first, &extensions.get::<AtomicU32>()));
        let _ = extensions.get::<AtomicBool>();
        assert!(Arc::ptr_eq(&first, &extensions.get::<AtomicU32>()));
    }
}
