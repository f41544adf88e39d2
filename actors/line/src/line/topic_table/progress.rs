//! The topics of a line, and the progress of each on the present connection.
//!
//! ```text
//!              ┌──────────── stale again: gap, declared once more ────────────┐
//!              ▼                                                              │
//!   stale ─▶ Ready ─▶ Asked(subscribe) ─▶ Asked(snapshot) ─▶ Idle, fresh ─────┘
//!              ▲           │     │               │
//!              └─ Resting ◀┴─────┼── later ◀─────┘
//!                                └── refused: told, and left alone until the next connection
//! ```

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use rand::Rng;
use serde::Deserialize;
use windlass_protocol::json::decode_with;
use windlass_protocol::{CallError, Generation, HelloOk, RawJson, SessionKeySpace, time};

use crate::line::topic_table::request::{
    FailureKind, MAX_TOPICS, ReleaseHabits, ResyncCounters, SNAPSHOT_SESSIONS, SubscribeManner, SubscriptionSupport,
    TooManyTopics, TopicEntry, TopicFailure, TopicOutcome, TopicPhase, TopicRequest, TopicStep, error_text,
    retry_delay,
};
use crate::routing::{Marker, Topic};

/// Questions under way at a time. Few, so that a fresh connection serves callers while a thousand topics are renewed.
const ASKED_AT_A_TIME: usize = 8;
#[derive(Debug)]
struct UpState {
    generation: Generation,
    offers: SubscriptionSupport,
    /// Whether all agents share one session, which lists leave out unless asked for it.
    global: Option<bool>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct TopicProgress {
    entries: BTreeMap<Topic, TopicEntry>,
    /// Guards that hold [`Topic::Everything`]. It has no entry: it holds `Sessions`, and marks others as held.
    everything: usize,
    /// A caller waits for the moment at which everything is subscribed.
    unsettled: bool,
    up: Option<UpState>,
    speech: ReleaseHabits,
    /// Topics with something to request. Sessions come first, by their order.
    due: BTreeSet<Topic>,
    resting: BTreeSet<(Instant, Topic)>,
    asked: usize,
    counters: ResyncCounters,
}

impl TopicProgress {
    pub(super) const fn counters(&self) -> ResyncCounters {
        self.counters
    }

    /// Topics that are declared, those that `Everything` stands for included.
    pub(super) fn len(&self) -> usize {
        self.entries.values().filter(|entry| entry.is_held()).count()
    }

    pub(super) const fn grows(&self) -> bool {
        self.everything > 0
    }

    /// Whether there is something to request, and room for it.
    pub(super) fn has_work(&self) -> bool {
        self.up.is_some() && self.asked < ASKED_AT_A_TIME && !self.due.is_empty()
    }

    pub(super) fn hold(&mut self, topic: &Topic) -> Result<(), TooManyTopics> {
        let own = entry_of(topic);
        if !self.entries.contains_key(own) && self.entries.len() >= MAX_TOPICS {
            return Err(TooManyTopics);
        }
        self.entries.entry(own.clone()).or_default().holders += 1;
        self.everything += usize::from(*topic == Topic::Everything);
        self.reload(topic);
        Ok(())
    }

    pub(super) fn release(&mut self, topic: &Topic) {
        if let Some(entry) = self.entries.get_mut(entry_of(topic)) {
            entry.holders = entry.holders.saturating_sub(1);
        }
        if *topic == Topic::Everything {
            self.everything = self.everything.saturating_sub(1);
            if self.everything == 0 {
                self.unsettled = false;
                self.retain_sessions(|_| false);
            }
        }
        self.update_phase(entry_of(topic));
    }

    /// Loads a topic again.
    pub(super) fn reload(&mut self, topic: &Topic) {
        self.unsettled |= *topic == Topic::Everything;
        if let Some(entry) = self.entries.get_mut(entry_of(topic)) {
            entry.stale = true;
            if entry.phase == TopicPhase::Refused {
                entry.phase = TopicPhase::Idle;
            }
            self.update_phase(entry_of(topic));
        }
    }

    /// The gateway dropped events: each loaded topic is loaded again. (A topic that is only subscribed stays so.)
    pub(super) fn on_gap(&mut self) {
        let topics: Vec<_> = self.entries.keys().cloned().collect();
        for topic in topics {
            if let Some(entry) = self.entries.get_mut(&topic) {
                entry.stale |= entry.holders > 0;
                self.update_phase(&topic);
            }
        }
    }

    /// The line is up: nothing is subscribed, and everything stale.
    pub(super) fn on_up(&mut self, generation: Generation, hello: &HelloOk) {
        self.on_down();
        if self.speech.version != hello.server.version {
            self.speech = ReleaseHabits {
                version: hello.server.version.clone(),
                ..ReleaseHabits::default()
            };
        }
        self.up = Some(UpState {
            generation,
            offers: SubscriptionSupport::new(hello),
            global: SessionKeySpace::of(hello).is_global().then_some(true),
        });
        self.unsettled = self.everything > 0;
        for entry in self.entries.values_mut() {
            entry.stale = true;
            entry.failures = 0;
            entry.phase = TopicPhase::Ready(None);
        }
        self.due = self.entries.keys().cloned().collect();
    }

    /// The line is down.
    pub(super) fn on_down(&mut self) {
        self.up = None;
        self.asked = 0;
        self.due.clear();
        self.resting.clear();
        self.entries.retain(|_, entry| entry.is_held());
        for entry in self.entries.values_mut() {
            entry.phase = TopicPhase::Idle;
            entry.subscribed = false;
        }
    }

    /// The requests to make now.
    pub(super) fn next_requests(&mut self, now: Instant, rng: &mut impl Rng) -> (Vec<TopicRequest>, TopicOutcome) {
        while let Some((at, topic)) = self.resting.first().cloned()
            && at <= now
        {
            self.resting.pop_first();
            if let Some(entry) = self.entries.get_mut(&topic) {
                entry.phase = TopicPhase::Ready(None);
                self.due.insert(topic);
            }
        }
        let mut requests = Vec::new();
        while self.has_work()
            && let Some(topic) = self.due.pop_first()
        {
            requests.extend(self.begin_request(topic, now, rng));
        }
        let mut outcome = TopicOutcome::default();
        self.mark_settled(&mut outcome);
        (requests, outcome)
    }

    /// When there is something to ask without anything happening before.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.resting.first().map(|(at, _)| *at)
    }

    fn begin_request(&mut self, topic: Topic, now: Instant, rng: &mut impl Rng) -> Option<TopicRequest> {
        let UpState { generation, global, .. } = *self.up.as_ref()?;
        let first = self.first_step(&topic);
        let entry = self.entries.get_mut(&topic)?;
        match entry.phase {
            TopicPhase::Failed(after) => {
                entry.failures += 1;
                let at = time::after(now, retry_delay(entry.failures, after, rng));
                entry.phase = TopicPhase::Resting(at);
                self.resting.insert((at, topic));
                None
            }
            TopicPhase::Ready(step) => {
                entry.stale &= step.is_some();
                let Some(step) = step.or(first) else {
                    entry.phase = TopicPhase::Idle;
                    return None;
                };
                entry.phase = TopicPhase::Asked(step);
                self.asked += 1;
                Some(TopicRequest {
                    topic,
                    step,
                    generation,
                    global,
                })
            }
            TopicPhase::Idle | TopicPhase::Asked(_) | TopicPhase::Resting(_) | TopicPhase::Refused => None,
        }
    }

    /// The first question for a topic; none where there is nothing to request.
    fn first_step(&self, topic: &Topic) -> Option<TopicStep> {
        let entry = self.entries.get(topic)?;
        let manner = match topic {
            Topic::Messages(_) => self.speech.messages,
            Topic::Sessions | Topic::Everything => self.speech.sessions,
        };
        match (topic, manner) {
            (Topic::Sessions, SubscribeManner::Listing) => Some(TopicStep::Subscribe { listing: true }),
            // A subscription lasts as long as its connection: only the state has to be asked for again.
            (_, SubscribeManner::Listing | SubscribeManner::Bare) if !entry.subscribed => {
                Some(TopicStep::Subscribe { listing: false })
            }
            _ => (entry.holders > 0).then_some(TopicStep::Snapshot),
        }
    }

    /// An answer was read, or its call ended without one.
    pub(super) fn on_answer(&mut self, request: &TopicRequest, end: Result<RawJson, CallError>) -> TopicOutcome {
        let mut outcome = TopicOutcome::default();
        let present = self.up.as_ref().is_some_and(|up| up.generation == request.generation);
        let Some(entry) = self.entries.get_mut(&request.topic).filter(|_| present) else {
            return outcome;
        };
        self.asked -= 1;
        entry.phase = TopicPhase::Idle;
        match (request.step, end) {
            (TopicStep::Unsubscribe, _) => {
                entry.subscribed = false;
                entry.stale = true;
            }
            (TopicStep::Subscribe { listing }, Ok(payload)) => {
                entry.subscribed = true;
                let loaded = entry.holders > 0;
                match listing.then(|| listed(&payload)).flatten() {
                    Some(list) => self.on_loaded(request, Some(list), &mut outcome),
                    None if loaded => entry.phase = TopicPhase::Ready(Some(TopicStep::Snapshot)),
                    None => entry.failures = 0,
                }
            }
            (TopicStep::Snapshot, Ok(payload)) => self.on_loaded(request, Some(payload), &mut outcome),
            (_, Err(error)) => self.on_failure(request, &error, &mut outcome),
        }
        self.update_phase(&request.topic);
        self.mark_settled(&mut outcome);
        outcome
    }

    fn on_loaded(&mut self, request: &TopicRequest, snapshot: Option<RawJson>, outcome: &mut TopicOutcome) {
        let Some(entry) = self.entries.get_mut(&request.topic) else {
            return;
        };
        entry.failures = 0;
        entry.logged_refusal = None;
        if entry.holders == 0 {
            return;
        }
        let again = entry.stale;
        self.counters.done += 1;
        if request.topic == Topic::Sessions && self.everything > 0 {
            self.follow_list(snapshot.as_ref());
        }
        outcome.markers.push(Marker::Resynced {
            generation: request.generation,
            what: request.topic.clone(),
            snapshot,
            again,
        });
    }

    fn on_failure(&mut self, request: &TopicRequest, error: &CallError, outcome: &mut TopicOutcome) {
        let offered = self
            .up
            .as_ref()
            .is_some_and(|up| up.offers.of(&request.topic).subscribe);
        let Some(entry) = self.entries.get_mut(&request.topic) else {
            return;
        };
        match (FailureKind::of(error), request.step) {
            (FailureKind::NotKnown, TopicStep::Subscribe { listing: true }) => {
                self.speech.sessions = SubscribeManner::Bare;
                entry.phase = TopicPhase::Ready(None);
            }
            (FailureKind::NotKnown, TopicStep::Subscribe { .. }) if !offered => {
                match request.topic {
                    Topic::Messages(_) => self.speech.messages = SubscribeManner::Without,
                    _ => self.speech.sessions = SubscribeManner::Without,
                }
                entry.phase = TopicPhase::Ready(None);
            }
            // A session that has no history yet, for example.
            (FailureKind::NotKnown, TopicStep::Snapshot) if entry.subscribed => self.on_loaded(request, None, outcome),
            (FailureKind::Later(after), _) => {
                entry.phase = TopicPhase::Failed(after);
                entry.stale = true;
                self.counters.failed += 1;
                let known = entry.failures > 0;
                outcome.trouble = Some(TopicFailure::new(request, error, false, known));
            }
            (FailureKind::NotKnown | FailureKind::Refused, _) => self.on_refusal(request, error, outcome),
        }
    }

    fn on_refusal(&mut self, request: &TopicRequest, error: &CallError, outcome: &mut TopicOutcome) {
        let Some(entry) = self.entries.get_mut(&request.topic) else {
            return;
        };
        entry.phase = TopicPhase::Refused;
        self.counters.refused += 1;
        let why = error_text(error);
        let known = entry
            .logged_refusal
            .replace(why.clone())
            .is_some_and(|before| before == why);
        outcome.trouble = Some(TopicFailure::new(request, error, true, known));
        self.unsettled &= request.topic != Topic::Sessions;
        if entry.holders > 0 {
            outcome.markers.push(Marker::Unsynced {
                generation: request.generation,
                what: request.topic.clone(),
                why,
            });
        }
    }

    /// Decides the next step of a topic, after a change.
    fn update_phase(&mut self, topic: &Topic) {
        let Some(entry) = self.entries.get_mut(topic) else {
            return;
        };
        if let TopicPhase::Asked(_) = entry.phase {
            return;
        }
        if let TopicPhase::Resting(at) = entry.phase {
            if entry.is_held() {
                return;
            }
            self.resting.remove(&(at, topic.clone()));
        }
        let leave = self.up.as_ref().is_some_and(|up| up.offers.of(topic).unsubscribe);
        entry.phase = match (entry.is_held(), entry.phase) {
            (false, _) if entry.subscribed && leave => TopicPhase::Ready(Some(TopicStep::Unsubscribe)),
            (false, _) => {
                self.entries.remove(topic);
                self.due.remove(topic);
                return;
            }
            (
                true,
                phase @ (TopicPhase::Failed(_)
                | TopicPhase::Refused
                | TopicPhase::Ready(None | Some(TopicStep::Snapshot))),
            ) => phase,
            (true, _) if entry.stale => TopicPhase::Ready(None),
            (true, _) => TopicPhase::Idle,
        };
        if matches!(entry.phase, TopicPhase::Idle | TopicPhase::Refused) || self.up.is_none() {
            self.due.remove(topic);
        } else {
            self.due.insert(topic.clone());
        }
    }
}

/// The topic with the entry that stands for this one.
const fn entry_of(topic: &Topic) -> &Topic {
    match topic {
        Topic::Everything => &Topic::Sessions,
        own => own,
    }
}

/// The state inside an answer to a subscription, where the release puts it there.
fn listed(payload: &RawJson) -> Option<RawJson> {
    #[derive(Deserialize)]
    struct SubscribeAnswer {
        #[serde(default)]
        list: Option<RawJson>,
    }
    payload
        .decode::<SubscribeAnswer>()
        .ok()?
        .list
        .filter(|list| list.as_str() != "null")
}

/// A list of sessions, as far as it is followed.
#[derive(Deserialize)]
struct SessionList<'a> {
    #[serde(borrow)]
    sessions: Vec<KeyOnlyRow<'a>>,
    #[serde(rename = "hasMore", default)]
    has_more: Option<bool>,
}

#[derive(Deserialize)]
struct KeyOnlyRow<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
}

impl TopicProgress {
    /// A session was seen, and `Everything` may be declared.
    pub(super) fn on_session_seen(&mut self, session: &str) {
        if self.everything > 0 {
            self.add_session(session);
        }
    }

    /// Tells once that everything is subscribed, when nothing is to be asked any more.
    fn mark_settled(&mut self, outcome: &mut TopicOutcome) {
        let Some(UpState { generation, .. }) = self.up else {
            return;
        };
        if self.unsettled && self.asked == 0 && self.due.is_empty() && self.resting.is_empty() {
            self.unsettled = false;
            self.counters.done += 1;
            outcome.markers.push(Marker::Resynced {
                generation,
                what: Topic::Everything,
                snapshot: None,
                again: false,
            });
        }
    }

    /// Brings the sessions of `Everything` in line with a list of sessions.
    fn follow_list(&mut self, list: Option<&RawJson>) {
        // A list of another shape has nothing to follow; the one that asked for it gets it as it is.
        if let Some(list) = list {
            let _ = decode_with(list.as_str(), |text| {
                serde_json::from_str(text).map(|list| self.follow_sessions(&list))
            });
        }
    }

    fn follow_sessions(&mut self, list: &SessionList<'_>) {
        let whole = list.has_more != Some(true) && list.sessions.len() < SNAPSHOT_SESSIONS as usize;
        if whole {
            let keys: BTreeSet<&str> = list.sessions.iter().map(|row| &*row.key).collect();
            self.retain_sessions(|key| keys.contains(key));
        }
        for row in &list.sessions {
            self.add_session(&row.key);
        }
    }

    fn add_session(&mut self, session: &str) {
        let topic = Topic::messages(session);
        if let Some(entry) = self.entries.get_mut(&topic) {
            entry.held_by_everything = true;
            return;
        }
        if self.entries.len() >= MAX_TOPICS {
            self.counters.left_out += 1;
            return;
        }
        let entry = TopicEntry {
            held_by_everything: true,
            stale: true,
            ..TopicEntry::default()
        };
        self.entries.insert(topic.clone(), entry);
        self.unsettled = true;
        self.update_phase(&topic);
    }

    /// Takes `Everything` off the sessions that are not to be kept.
    fn retain_sessions(&mut self, keep: impl Fn(&str) -> bool) {
        let mut gone = Vec::new();
        for (topic, entry) in &mut self.entries {
            if entry.held_by_everything && !topic.session().is_some_and(&keep) {
                entry.held_by_everything = false;
                gone.push(topic.clone());
            }
        }
        for topic in gone {
            self.update_phase(&topic);
        }
    }
}
