//! The handle of one gateway.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use windlass_line::{
    Backlog, EventFilter, Inspection, Line, LineStatus, RegistryError, Subscription, TooManyTopics, Topic,
    TopicSubscription,
};
use windlass_protocol::GatewayId;
use windlass_sessions::session_cache::SessionCache;

use crate::call::Call;
use crate::request::{Request, TypedCall};
use crate::runtime::{LineHandle, SharedRuntime};

/// Events that wait for a slow subscriber before the oldest are dropped (and the subscriber is told). A chat run of 400
/// increments sends about 1,000 events; this takes a burst of one from a gateway while its subscriber writes to a disk.
pub const EVENT_QUEUE: usize = 1024;

/// One gateway's line. Cheap to clone, usable from any thread; stays the same over all reconnects.
///
/// ```no_run
/// # async fn example(windlass: windlass::Windlass, spec: windlass::GatewaySpec) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// let gateway = windlass.add(spec).await?;
/// gateway.wait_until_up(Duration::from_secs(10)).await?;
/// println!("{}", gateway.call("health", ()).await?.as_str());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Gateway(LineHandle);

/// A line that was waited for is not up.
#[derive(Debug, Clone, thiserror::Error)]
pub struct NotUp {
    /// The line's status at the end of the wait.
    pub status: Box<LineStatus>,
}

/// Why a gateway's cache can't be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionCacheError {
    /// It needs a topic, and the line keeps as many as it may.
    #[error(transparent)]
    TooManyTopics(#[from] TooManyTopics),
    /// Windlass was shut down.
    #[error(transparent)]
    Windlass(#[from] RegistryError),
}

impl fmt::Display for NotUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the line to {} is {}", self.status.id, self.status.state)?;
        match self.status.current_error() {
            Some(error) => write!(f, ": {}", error.advice),
            None => Ok(()),
        }
    }
}

impl Gateway {
    pub(crate) const fn new(handle: LineHandle) -> Self {
        Self(handle)
    }

    /// Its id.
    pub fn id(&self) -> &GatewayId {
        self.0.id()
    }

    /// Prepares a call; it is made when it is awaited (`.into_future()` makes a future of it, for `join_all` and the like).
    ///
    /// `params` is a value that serialises to the parameters of the method; `()` leaves them out.
    ///
    /// ```no_run
    /// # async fn example(gateway: windlass::Gateway) -> Result<(), windlass::CallError> {
    /// let health = gateway.call("health", ()).await?;
    /// let sent = gateway
    ///     .call("chat.send", serde_json::json!({ "sessionKey": "agent:main:main", "message": "hello" }))
    ///     .timeout(std::time::Duration::from_secs(10))
    ///     .await?;
    /// # let _ = (health, sent);
    /// # Ok(())
    /// # }
    /// ```
    pub fn call(&self, method: impl Into<Cow<'static, str>>, params: impl Serialize) -> Call {
        Call::new(self.0.clone(), method.into(), &params)
    }

    /// Prepares a call by its [type](crate::request); it is made when it is awaited, and answers with a type too.
    ///
    /// ```no_run
    /// # async fn example(gateway: windlass::Gateway) -> Result<(), windlass::ReplyError> {
    /// let cache = gateway.request(windlass::request::AgentsList::new()).await?;
    /// # let _ = cache.agents;
    /// # Ok(())
    /// # }
    /// ```
    pub fn request<R: Request>(&self, request: R) -> TypedCall<R> {
        TypedCall::new(self.call(R::METHOD, request))
    }

    /// The events that match, from now on, with [`EVENT_QUEUE`] of them waiting at most.
    ///
    /// ```no_run
    /// # async fn example(gateway: windlass::Gateway) {
    /// use windlass::{ChatEvent, EventFilter, LineEvent};
    ///
    /// let mut events = gateway.events(EventFilter::all().name("chat"));
    /// while let Some(item) = events.next().await {
    ///     if let LineEvent::Event(event) = item {
    ///         println!("{:?}", event.decode::<ChatEvent>());
    ///     }
    /// }
    /// # }
    /// ```
    pub fn events(&self, filter: EventFilter) -> Subscription {
        self.events_bounded(filter, EVENT_QUEUE)
    }

    /// The events that match, from now on. `backlog` is the number of events that wait for a slow subscriber, and the policy for more
    /// of them: a number is [`Backlog::items`], which drops the oldest.
    ///
    /// ```no_run
    /// # fn example(gateway: &windlass::Gateway) {
    /// use windlass::{Backlog, EventFilter, SlowPolicy};
    ///
    /// let dashboard = gateway.events(EventFilter::all().name("chat"));
    /// let audit = gateway.events_bounded(EventFilter::all(), Backlog::items(1024).slow(SlowPolicy::Disconnect));
    /// # let _ = (dashboard, audit);
    /// # }
    /// ```
    pub fn events_bounded(&self, filter: EventFilter, backlog: impl Into<Backlog>) -> Subscription {
        self.0.subscribe(filter, backlog)
    }

    /// Keeps a topic subscribed at the gateway, over all reconnects, for as long as the answer is held.
    ///
    /// The topic is loaded now, at every connection to come, and whenever the gateway dropped events. Each time its state
    /// comes as [`Marker::Resynced`](crate::Marker::Resynced) in its place between the events, so subscribe first, with
    /// [`EventFilter::snapshots`], and declare then.
    ///
    /// ```no_run
    /// # async fn example(gateway: windlass::Gateway) -> Result<(), windlass::TooManyTopics> {
    /// use windlass::{EventFilter, LineEvent, Marker, Topic};
    ///
    /// let mut events = gateway.events(EventFilter::all().name("sessions.changed").snapshots());
    /// let _sessions = gateway.subscribe_topic(Topic::Sessions)?;
    /// while let Some(item) = events.next().await {
    ///     match item {
    ///         LineEvent::Event(event) => println!("apply {}", event.payload.as_str()),
    ///         LineEvent::Marker(marker) => match *marker {
    ///             Marker::Resynced { snapshot, .. } => println!("begin again from {snapshot:?}"),
    ///             other => println!("{other:?}"),
    ///         },
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When [`MAX_TOPICS`](crate::MAX_TOPICS) are kept already.
    pub fn subscribe_topic(&self, topic: Topic) -> Result<TopicSubscription, TooManyTopics> {
        self.0.subscribe_topic(topic)
    }

    /// The gateway's sessions and their runs as a value, kept true over reconnects, restarts and lost events: to look at
    /// ([`SessionCache::now`]) and to wait for changes of ([`SessionCache::changed`]). All holders share one feed; it ends with the
    /// last holder.
    ///
    /// ```no_run
    /// # async fn example(gateway: windlass::Gateway) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut cache = gateway.session_cache().await?;
    /// let view = cache.fresh().await?;
    /// for (key, session) in view.sessions.active() {
    ///     println!("{key} works on {:?}", session.runs);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SessionCacheError`].
    pub async fn session_cache(&self) -> Result<SessionCache, SessionCacheError> {
        let (cache, feed) = SessionCache::of(self.0.line())?;
        if let Some(feed) = feed {
            self.inner().side().host(move || feed.run()).await?;
        }
        Ok(cache)
    }

    /// The line's state, to look at and to watch.
    ///
    /// ```no_run
    /// # async fn example(gateway: windlass::Gateway) {
    /// let mut status = gateway.status();
    /// while status.changed().await.is_ok() {
    ///     println!("{}", status.borrow_and_update().state);
    /// }
    /// # }
    /// ```
    pub fn status(&self) -> watch::Receiver<LineStatus> {
        self.0.status()
    }

    /// The line's state now, as a value. [`status`](Self::status) watches it.
    ///
    /// ```no_run
    /// # fn example(gateway: &windlass::Gateway) {
    /// let status = gateway.current_status();
    /// println!("{}: {}", status.id, status.state);
    /// # }
    /// ```
    pub fn current_status(&self) -> LineStatus {
        self.status().borrow().clone()
    }

    /// Waits until the line is up.
    ///
    /// To wait for a line to come *back*, wait on [`status`](Self::status) for a newer `generation`: a watch shows only
    /// the latest state, and an outage can be shorter than a look.
    ///
    /// ```no_run
    /// # async fn example(gateway: windlass::Gateway) {
    /// match gateway.wait_until_up(std::time::Duration::from_secs(10)).await {
    ///     Ok(status) => println!("release {:?}", status.server_version()),
    ///     Err(not_up) => eprintln!("{not_up}"),
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NotUp`], when the line is not up within `timeout` or closed for good. It goes on trying all the same.
    pub async fn wait_until_up(&self, timeout: Duration) -> Result<LineStatus, NotUp> {
        let mut status = self.status();
        // A line that is closed drops its end of the watch, which ends the wait with its last status.
        let _ = tokio::time::timeout(timeout, status.wait_for(LineStatus::is_up)).await;
        let last = status.borrow().clone();
        if last.is_up() {
            Ok(last)
        } else {
            Err(NotUp { status: Box::new(last) })
        }
    }

    /// Tries a line that waits for its next attempt now, from the foot of its backoff.
    ///
    /// # Errors
    /// When the gateway was removed, or Windlass shut down.
    pub async fn reconnect_now(&self) -> Result<(), RegistryError> {
        self.inner().directory().reconnect_now(self.0.line()).await
    }

    /// Counts the contents and the work of the line.
    ///
    /// ```no_run
    /// # async fn example(gateway: windlass::Gateway) -> Result<(), windlass::RegistryError> {
    /// let line = gateway.inspect().await?;
    /// println!("{} calls under way, {} wait", line.in_flight, line.waiting);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the gateway was removed, or Windlass shut down.
    pub async fn inspect(&self) -> Result<Inspection, RegistryError> {
        self.inner().directory().inspect(self.0.line()).await
    }

    pub(crate) fn shared_line(&self) -> Arc<Line> {
        Arc::clone(self.0.line())
    }

    pub(crate) fn inner(&self) -> &SharedRuntime {
        self.0.runtime()
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
