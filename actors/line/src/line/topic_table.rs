//! The topics that callers subscribe to: once, and renewed at every connection.
//!
//! The topics belong to the line and outlive its connections. The connection's driver makes the due requests over the
//! socket that it owns, and a question's answer is taken up at the very place where its frame is read: between the event
//! before it and the event after it. So a snapshot stands in the stream where the gateway put it.

mod asking;
mod entry;
mod outcome;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rand::Rng;
use windlass_protocol::connection::CallRequest;
use windlass_protocol::{CallError, GatewayId, Generation, HelloOk, RawJson};

pub(crate) use asking::Ask;
pub use asking::SNAPSHOT_SESSIONS;
use outcome::{Outcome, Trouble};
use table::Table;
pub use table::{MAX_TOPICS, ResyncCounters};

use super::Reply;
use super::inbox::Inbox;
use crate::routing::{Incoming, Router, Topic};

/// More is declared on one line than it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line keeps {MAX_TOPICS} topics subscribed at most")]
pub struct TooManyTopics;

/// A topic that is kept subscribed for as long as this is held, by this or another holder.
#[must_use = "a topic is subscribed for as long as its declaration is held"]
pub struct TopicSubscription {
    topic: Topic,
    topics: Arc<TopicTable>,
    wake: Inbox,
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
        self.topics.with(|table| table.again(&self.topic));
        self.wake.declared();
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
        self.topics.with(|table| table.release(&self.topic));
        self.wake.declared();
    }
}

/// The topics of one line, shared by their holders and the line's connection.
#[derive(Debug)]
pub(crate) struct TopicTable {
    id: GatewayId,
    router: Arc<Router>,
    table: Mutex<Table>,
    /// There is something to ask. All that a line without topics ever looks at.
    due: AtomicBool,
    grows: AtomicBool,
}

impl TopicTable {
    pub(super) fn new(id: GatewayId, router: Arc<Router>) -> Self {
        Self {
            id,
            router,
            table: Mutex::default(),
            due: AtomicBool::new(false),
            grows: AtomicBool::new(false),
        }
    }

    pub(super) fn subscribe_topic(
        self: &Arc<Self>,
        topic: Topic,
        inbox: &Inbox,
    ) -> Result<TopicSubscription, TooManyTopics> {
        self.with(|table| table.subscribe_topic(&topic))?;
        inbox.declared();
        Ok(TopicSubscription {
            topic,
            topics: Arc::clone(self),
            wake: inbox.clone(),
        })
    }

    /// The line is up.
    pub(crate) fn begin(&self, generation: Generation, hello: &HelloOk) {
        self.with(|table| table.begin(generation, hello));
    }

    /// The line is down.
    pub(crate) fn end(&self) {
        self.with(Table::end);
    }

    /// The gateway dropped events.
    pub(crate) fn gap(&self) {
        self.with(Table::gap);
    }

    /// An event came in: it may be of a session that is new.
    pub(crate) fn observe(&self, incoming: &Incoming<'_>) {
        if self.grows.load(Ordering::Relaxed)
            && incoming.name == "sessions.changed"
            && let Some(session) = &self.router.keys(incoming).session_key
        {
            self.with(|table| table.saw(session));
        }
    }

    /// Whether there is something to ask.
    pub(crate) fn is_due(&self) -> bool {
        self.due.load(Ordering::Relaxed)
    }

    /// The calls to make now, and when to come back without being told to.
    pub(crate) fn next(
        self: &Arc<Self>,
        now: Instant,
        rng: &mut impl Rng,
    ) -> (Vec<CallRequest<Reply>>, Option<Instant>) {
        let ((asks, outcome), again) = self.with(|table| (table.next(now, rng), table.next_at()));
        self.tell(outcome);
        let calls = asks.into_iter().map(|ask| {
            let call = ask.call(now);
            call.into_request(Reply::TopicSubscription(Arc::clone(self), ask))
        });
        (calls.collect(), again)
    }

    /// A question's call ended. Called by the driver while it reads, and so between two events.
    pub(crate) fn answered(&self, ask: &Ask, end: Result<RawJson, CallError>) {
        let outcome = self.with(|table| table.answered(ask, end));
        self.tell(outcome);
    }

    fn tell(&self, Outcome { markers, trouble }: Outcome) {
        if let Some(trouble) = trouble {
            self.log(&trouble);
        }
        for marker in &markers {
            self.router.mark(marker);
        }
    }

    pub(crate) fn counters(&self) -> ResyncCounters {
        self.lock().counters()
    }

    /// Topics that are declared.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn log(&self, trouble: &Trouble) {
        let (id, what, why) = (&self.id, &trouble.topic, &trouble.why);
        match (trouble.known, trouble.refused) {
            (true, _) => tracing::debug!(gateway = %id, %what, %why, "still not subscribed"),
            (false, true) => tracing::warn!(gateway = %id, %what, %why, "the gateway refuses a subscription"),
            (false, false) => tracing::warn!(gateway = %id, %what, %why, "a subscription is tried again"),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.lock();
        let done = work(&mut table);
        self.due.store(table.has_work(), Ordering::Relaxed);
        self.grows.store(table.grows(), Ordering::Relaxed);
        done
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Should a panic have come between: the next connection starts every topic anew.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
