//! The calls of one line: waiting, in flight, ended. Outlives the line's connections.
//!
//! ```text
//!   admit ─▶ waiting ──next_frame──▶ in flight ──answer──▶ ended (Ok | Rejected)
//!               │  ▲                    │   │
//!               │  └──── lost, may be ──┘   ├──lost, may not be re-sent──▶ ended (OutcomeUnknown)
//!               │        re-sent            └──deadline──▶ ended (TimedOut)
//!               └──deadline, too large, line closed──▶ ended (NotSent)
//! ```
//!
//! A call ends exactly once, because ending it consumes its [`ReplySlot`].

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bytestring::ByteString;
use rustc_hash::FxHashMap;

use super::{Continuity, Wire};
use crate::frame::{Payload, RequestFrame};
use crate::json::decode_with;
use crate::{
    CallError, CallId, GatewayError, Generation, KEY_MEMORY_SECONDS, MethodName, NotSent, OutcomeUnknown, RawJson,
    Rejected, TimedOut, TraceParent, UnknownReason,
};

/// How long a gateway remembers an idempotency key.
const KEY_MEMORY: Duration = Duration::from_secs(KEY_MEMORY_SECONDS);

/// The calls of one line.
#[derive(Debug)]
pub struct CallTable<S> {
    limits: CallLimits,
    waiting: VecDeque<TrackedCall<S>>,
    in_flight: FxHashMap<u64, TrackedCall<S>>,
    next_id: u64,
    up: bool,
    /// No later than the earliest deadline of all entries; early is allowed, and corrected when it comes.
    earliest: Option<Instant>,
    counters: CallCounters,
}

#[derive(Debug)]
struct TrackedCall<S> {
    id: CallId,
    admitted: Instant,
    /// The connection that carried it last.
    sent_in: Option<Generation>,
    /// More than one carried it: an earlier one may have brought it to the gateway.
    repeated: bool,
    /// When it was written for the first time.
    first_sent: Option<Instant>,
    /// In the box that it came in: entries are moved from queue to table and back.
    request: Box<CallRequest<S>>,
}

impl<S: ReplySlot> CallTable<S> {
    /// An empty table.
    pub fn new(limits: CallLimits) -> Self {
        Self {
            limits,
            waiting: VecDeque::new(),
            in_flight: FxHashMap::default(),
            next_id: 1,
            up: false,
            earliest: None,
            counters: CallCounters::default(),
        }
    }

    /// Whether another call can be taken without ending it as [`NotSent::QueueFull`].
    pub fn has_room(&self) -> bool {
        self.waiting.len() < self.limits.waiting
    }

    /// Takes a call, or ends it at once: no room, or it does not want to wait for a line that is down.
    pub fn admit(&mut self, request: Box<CallRequest<S>>, now: Instant) {
        let refusal = if !self.has_room() {
            Some(NotSent::QueueFull {
                limit: self.limits.waiting,
            })
        } else if !self.up && !request.wait_for_line {
            Some(NotSent::WouldWait)
        } else {
            None
        };
        let entry = TrackedCall {
            id: self.fresh_id(),
            admitted: now,
            sent_in: None,
            repeated: false,
            first_sent: None,
            request,
        };
        if let Some(refusal) = refusal {
            return self.end(entry, Err(refusal.into()));
        }
        self.note_deadline(entry.request.deadline);
        self.waiting.push_back(entry);
    }

    /// An id for a request that is not a call of this table (the handshake's).
    pub const fn fresh_id(&mut self) -> CallId {
        let id = CallId::new(self.next_id);
        self.next_id += 1;
        id
    }

    /// Appends the next frame to write to `text`, which takes everything; its call is in flight now. Tells whether there was
    /// one: nothing waits, or enough is in flight.
    ///
    /// Calls that were dropped, that are late or too large end here.
    pub fn next_frame(&mut self, now: Instant, wire: &Wire, text: &mut impl fmt::Write) -> bool {
        while self.in_flight.len() < self.limits.in_flight {
            let Some(mut entry) = self.waiting.pop_front() else {
                return false;
            };
            if entry.request.slot.is_abandoned() {
                self.counters.abandoned += 1;
                continue;
            }
            if now >= entry.request.deadline {
                self.end_late(entry);
                continue;
            }
            let frame = RequestFrame {
                id: entry.id,
                method: &entry.request.method,
                params: entry.request.params.as_ref(),
                trace: entry.request.trace.as_ref().filter(|_| wire.takes_traceparent),
            };
            if frame.len() as u64 > wire.max_payload {
                let error = NotSent::TooLarge {
                    size: frame.len(),
                    limit: wire.max_payload,
                };
                self.end(entry, Err(error.into()));
                continue;
            }
            let _ = frame.write_onto(text);
            self.counters.sent += 1;
            entry.repeated = entry.sent_in.replace(wire.generation).is_some();
            self.counters.resent += u64::from(entry.repeated);
            entry.first_sent.get_or_insert(now);
            self.in_flight.insert(entry.id.number(), entry);
            return true;
        }
        false
    }

    /// An answer came. `frame` is the text that `outcome` borrows from.
    pub fn answer(
        &mut self,
        id: CallId,
        outcome: Result<Payload<'_>, GatewayError>,
        frame: &ByteString,
    ) -> AnswerEffect {
        let Some(entry) = self.in_flight.remove(&id.number()) else {
            self.counters.stray += 1;
            return AnswerEffect::Stray;
        };
        match outcome {
            Ok(payload) if entry.request.answers == AnswerMode::Final && is_acceptance(payload) => {
                self.in_flight.insert(id.number(), entry);
                return AnswerEffect::Accepted;
            }
            Ok(payload) => self.end(entry, Ok(payload.to_owned_in(frame))),
            // A gateway that drains refuses before it looks at the key: that says nothing of the attempt before.
            Err(_) if entry.repeated && entry.request.resend == Resend::SameBoot => {
                self.end_unknown(entry, UnknownReason::RepeatRefused);
            }
            Err(error) => {
                let rejected = Rejected {
                    method: entry.request.method.clone(),
                    error,
                };
                self.end(entry, Err(CallError::Rejected(Box::new(rejected))));
            }
        }
        AnswerEffect::Ended
    }

    /// The line is up at `now`, and the gateway behind it is or is not the same life of the same process as before.
    ///
    /// Keyed calls that were sent before stay only if it is, and only while it remembers their keys.
    pub fn restored(&mut self, continuity: Continuity, now: Instant) {
        self.up = true;
        let why = match continuity {
            Continuity::Same => UnknownReason::KeyForgotten,
            Continuity::Restarted => UnknownReason::GatewayRestarted,
            Continuity::Unknown => UnknownReason::MaybeRestarted,
        };
        let at_risk = |entry: &TrackedCall<S>| {
            let forgotten = |sent: Instant| now.saturating_duration_since(sent) >= KEY_MEMORY;
            let kept = continuity == Continuity::Same && !entry.first_sent.is_some_and(forgotten);
            entry.sent_in.is_some() && entry.request.resend == Resend::SameBoot && !kept
        };
        for entry in take_where(&mut self.waiting, at_risk) {
            self.end_unknown(entry, why);
        }
    }

    /// The connection broke. Calls that may be sent again go back to the head of the queue, in order; the rest ends.
    pub fn lost(&mut self) {
        self.up = false;
        let mut entries: Vec<_> = self.in_flight.drain().map(|(_, entry)| entry).collect();
        entries.sort_unstable_by_key(|entry| entry.id);
        for entry in entries.into_iter().rev() {
            if entry.request.resend == Resend::Never {
                self.end_unknown(entry, UnknownReason::LineLost);
            } else {
                self.waiting.push_front(entry);
            }
        }
        let impatient = |entry: &TrackedCall<S>| !entry.request.wait_for_line;
        for entry in take_where(&mut self.waiting, impatient) {
            let end = entry.sent_in.map_or_else(
                || NotSent::WouldWait.into(),
                |generation| unknown(&entry.request.method, generation, UnknownReason::LineLost),
            );
            self.end(entry, Err(end));
        }
    }

    /// Ends the calls that are late at `now` and frees the places of dropped calls.
    pub fn expire(&mut self, now: Instant) {
        self.expire_where(now, |_| true);
    }

    /// The same, only for the calls that have a slot as wanted. Returns the earliest deadline of the remaining ones.
    pub fn expire_where(&mut self, now: Instant, wanted: impl Fn(&S) -> bool) -> Option<Instant> {
        let late = |entry: &TrackedCall<S>| {
            let slot = &entry.request.slot;
            (now >= entry.request.deadline || slot.is_abandoned()) && wanted(slot)
        };
        let mut ended = take_where(&mut self.waiting, late);
        ended.extend(
            self.in_flight
                .extract_if(|_, entry| late(entry))
                .map(|(_, entry)| entry),
        );
        for entry in ended {
            if entry.request.slot.is_abandoned() {
                self.counters.abandoned += 1;
            } else {
                self.end_late(entry);
            }
        }
        let left = || self.waiting.iter().chain(self.in_flight.values());
        self.earliest = left().map(|entry| entry.request.deadline).min();
        let of_wanted = left().filter(|entry| wanted(&entry.request.slot));
        of_wanted.map(|entry| entry.request.deadline).min()
    }

    /// Frees the places of dropped calls, late or not.
    pub fn free_abandoned(&mut self) {
        let abandoned = |entry: &TrackedCall<S>| entry.request.slot.is_abandoned();
        let mut freed = take_where(&mut self.waiting, abandoned).len();
        freed += self.in_flight.extract_if(|_, entry| abandoned(entry)).count();
        self.counters.abandoned += freed as u64;
    }

    /// When to call [`expire`](Self::expire) next.
    pub const fn next_deadline(&self) -> Option<Instant> {
        self.earliest
    }

    /// Ends everything: the line is closed for good.
    pub fn close(&mut self) {
        self.up = false;
        let in_flight = self.in_flight.drain().map(|(_, entry)| entry);
        for entry in self.waiting.drain(..).chain(in_flight).collect::<Vec<_>>() {
            match entry.sent_in {
                None => self.end(entry, Err(NotSent::Closed.into())),
                Some(_) => self.end_unknown(entry, UnknownReason::Closed),
            }
        }
        self.earliest = None;
    }

    /// Requests that were written and not answered yet.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Calls that were not written yet, or wait to be written again.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no call is left.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty()
    }

    /// How many calls went which way.
    pub const fn counters(&self) -> CallCounters {
        self.counters
    }

    fn note_deadline(&mut self, deadline: Instant) {
        self.earliest = Some(self.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
    }

    fn end_late(&mut self, entry: TrackedCall<S>) {
        let after = entry.request.deadline.saturating_duration_since(entry.admitted);
        let error = late(&entry, after);
        self.end(entry, Err(error));
    }

    fn end_unknown(&mut self, entry: TrackedCall<S>, why: UnknownReason) {
        let generation = entry.sent_in.unwrap_or_default();
        let error = unknown(&entry.request.method, generation, why);
        self.end(entry, Err(error));
    }

    /// The one place where a call ends.
    fn end(&mut self, entry: TrackedCall<S>, end: Result<RawJson, CallError>) {
        let counter = match &end {
            Ok(_) => &mut self.counters.ok,
            Err(CallError::Rejected(_)) => &mut self.counters.rejected,
            Err(CallError::NotSent(_)) => &mut self.counters.not_sent,
            Err(CallError::OutcomeUnknown(_)) => &mut self.counters.unknown,
            Err(CallError::TimedOut(_)) => &mut self.counters.timed_out,
        };
        *counter += 1;
        entry.request.slot.reply(end, entry.sent_in);
    }
}

fn late<S>(entry: &TrackedCall<S>, after: Duration) -> CallError {
    if entry.sent_in.is_some() {
        TimedOut {
            method: entry.request.method.clone(),
            after,
        }
        .into()
    } else {
        NotSent::NotReady { waited: after }.into()
    }
}

fn unknown(method: &MethodName, generation: Generation, why: UnknownReason) -> CallError {
    OutcomeUnknown {
        method: method.clone(),
        generation,
        why,
    }
    .into()
}

/// Whether a payload is the first of the two that method `agent` answers with.
fn is_acceptance(payload: Payload<'_>) -> bool {
    #[derive(serde::Deserialize)]
    struct Status<'a> {
        #[serde(borrow)]
        status: std::borrow::Cow<'a, str>,
    }
    let is_accepted = |text: &str| serde_json::from_str(text).map(|answer: Status<'_>| answer.status == "accepted");
    decode_with(payload.as_str(), is_accepted).unwrap_or(false)
}

/// Removes the entries that match, keeping the order of both sides.
///
/// In place: a cut takes each call of a full window, and a second queue as long as the first would be the largest
/// thing that the line ever asks for.
fn take_where<S>(
    queue: &mut VecDeque<TrackedCall<S>>,
    matches: impl Fn(&TrackedCall<S>) -> bool,
) -> Vec<TrackedCall<S>> {
    let mut taken = Vec::new();
    for _ in 0..queue.len() {
        match queue.pop_front() {
            Some(entry) if matches(&entry) => taken.push(entry),
            Some(entry) => queue.push_back(entry),
            None => break,
        }
    }
    taken
}

/// Where the end of a call is told.
pub trait ReplySlot {
    /// Whether the caller no longer waits for the reply.
    fn is_abandoned(&self) -> bool;
    /// Tells the end, and the connection that carried the call last, if one did. Never blocks.
    fn reply(self, end: Result<RawJson, CallError>, carried: Option<Generation>);
}

/// Whether a call may be written again after its connection broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// Doing it twice is doing it once: read-only methods, or those that set a state.
    Always,
    /// It carries an idempotency key, which the gateway remembers until it is restarted.
    SameBoot,
    /// It could happen twice.
    Never,
}

/// Which answer ends a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnswerMode {
    /// The first one.
    #[default]
    First,
    /// The one after `status: "accepted"`: method `agent` answers when it takes a run, and again when the run ends.
    Final,
}

/// One call as it is handed in.
#[derive(Debug)]
pub struct CallRequest<S> {
    /// The method to call.
    pub method: MethodName,
    /// The parameters; `None` leaves `params` out of the frame.
    pub params: Option<RawJson>,
    /// When the caller gives up.
    pub deadline: Instant,
    /// The rule for the case that the connection breaks under it.
    pub resend: Resend,
    /// Which answer ends it.
    pub answers: AnswerMode,
    /// Whether to wait for a line that is down.
    pub wait_for_line: bool,
    /// Where it belongs in a trace; told to gateways that can be told.
    pub trace: Option<TraceParent>,
    /// Where to tell the end.
    pub slot: S,
}

/// The bounds of [`CallTable`](super::CallTable).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Requests that may be unanswered at a time. Past that, calls wait.
    pub in_flight: usize,
    /// Calls that may wait at a time. Past that, they end as [`NotSent::QueueFull`](crate::NotSent::QueueFull).
    pub waiting: usize,
}

impl Default for CallLimits {
    /// 192 in flight: 2026.9.6 refuses a request while 256 requests of all its clients wait to be started, so this
    /// leaves a quarter to others. 4,096 waiting: a burst of calls waits here rather than being turned away there.
    fn default() -> Self {
        Self {
            in_flight: 192,
            waiting: 4096,
        }
    }
}

/// The fate of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerEffect {
    /// It ended its call.
    Ended,
    /// It was the first of two, and its call waits for the second.
    Accepted,
    /// No call has that id: cancelled, timed out, or ended by an earlier answer.
    Stray,
}

/// How many calls went which way, since the line was made. Only ever grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CallCounters {
    /// Requests written, repeats included.
    pub sent: u64,
    /// Requests written again after a reconnect.
    pub resent: u64,
    /// Calls that ended with a payload.
    pub ok: u64,
    /// Calls that ended as [`Rejected`](crate::Rejected).
    pub rejected: u64,
    /// Calls that ended as [`NotSent`](crate::NotSent).
    pub not_sent: u64,
    /// Calls that ended as [`OutcomeUnknown`](crate::OutcomeUnknown).
    pub unknown: u64,
    /// Calls that ended as [`TimedOut`](crate::TimedOut).
    pub timed_out: u64,
    /// Calls that were dropped by their caller.
    pub abandoned: u64,
    /// Answers that no call waited for.
    pub stray: u64,
}

#[cfg(test)]
mod tests;
