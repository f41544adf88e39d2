//! The topics that callers subscribe to: once, and renewed at every connection.
//!
//! The topics belong to the line and outlive its connections. The connection's driver makes the due requests over the
//! socket that it owns, and a question's answer is taken up at the very place where its frame is read: between the event
//! before it and the event after it. So a snapshot stands in the stream where the gateway put it.

mod progress;
mod request;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rand::Rng;
use windlass_protocol::connection::CallRequest;
use windlass_protocol::{CallError, GatewayId, Generation, HelloOk, RawJson};

use progress::TopicProgress;
use request::TopicOutcome;
pub(crate) use request::TopicRequest;
pub use request::{MAX_TOPICS, ResyncCounters, SNAPSHOT_SESSIONS, TooManyTopics};

use crate::routing::{Incoming, Router, Topic};

/// The topics of one line, shared by their holders and the line's connection.
#[derive(Debug)]
pub(crate) struct TopicTable {
    id: GatewayId,
    router: Arc<Router>,
    table: Mutex<TopicProgress>,
    /// There is something to request. All that a line without topics ever looks at.
    due: AtomicBool,
    grows: AtomicBool,
}

impl TopicTable {
    pub(crate) fn new(id: GatewayId, router: Arc<Router>) -> Self {
        Self {
            id,
            router,
            table: Mutex::default(),
            due: AtomicBool::new(false),
            grows: AtomicBool::new(false),
        }
    }

    /// A caller holds the topic from now on.
    pub(crate) fn hold(&self, topic: &Topic) -> Result<(), TooManyTopics> {
        self.update(|table| table.hold(topic))
    }

    /// A caller no longer holds the topic.
    pub(crate) fn release(&self, topic: &Topic) {
        self.update(|table| table.release(topic));
    }

    /// Loads the topic again.
    pub(crate) fn reload(&self, topic: &Topic) {
        self.update(|table| table.reload(topic));
    }

    /// The line is up.
    pub(crate) fn on_up(&self, generation: Generation, hello: &HelloOk) {
        self.update(|table| table.on_up(generation, hello));
    }

    /// The line is down.
    pub(crate) fn on_down(&self) {
        self.update(TopicProgress::on_down);
    }

    /// The gateway dropped events.
    pub(crate) fn on_gap(&self) {
        self.update(TopicProgress::on_gap);
    }

    /// An event came in: it may be of a session that is new.
    pub(crate) fn observe(&self, incoming: &Incoming<'_>) {
        if self.grows.load(Ordering::Relaxed)
            && incoming.name == "sessions.changed"
            && let Some(session) = &self.router.keys(incoming).session_key
        {
            self.update(|table| table.on_session_seen(session));
        }
    }

    /// Whether there is something to request.
    pub(crate) fn is_due(&self) -> bool {
        self.due.load(Ordering::Relaxed)
    }

    /// The calls to make now, and when to come back without being told to. `slot` makes the receiver of an answer.
    pub(crate) fn next_calls<S>(
        &self,
        now: Instant,
        rng: &mut impl Rng,
        slot: impl Fn(TopicRequest) -> S,
    ) -> (Vec<CallRequest<S>>, Option<Instant>) {
        let ((requests, outcome), again) = self.update(|table| (table.next_requests(now, rng), table.next_at()));
        self.publish(outcome);
        let calls = requests.into_iter().map(|request| request.into_call(now, &slot));
        (calls.collect(), again)
    }

    /// A question's call ended. Called by the driver while it reads, and so between two events.
    pub(crate) fn on_answer(&self, request: &TopicRequest, end: Result<RawJson, CallError>) {
        let outcome = self.update(|table| table.on_answer(request, end));
        self.publish(outcome);
    }

    fn publish(&self, TopicOutcome { markers, trouble }: TopicOutcome) {
        if let Some(trouble) = trouble {
            trouble.log(&self.id);
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

    fn update<T>(&self, work: impl FnOnce(&mut TopicProgress) -> T) -> T {
        let mut table = self.lock();
        let done = work(&mut table);
        self.due.store(table.has_work(), Ordering::Relaxed);
        self.grows.store(table.grows(), Ordering::Relaxed);
        done
    }

    fn lock(&self) -> MutexGuard<'_, TopicProgress> {
        // Should a panic have come between: the next connection starts every topic anew.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
