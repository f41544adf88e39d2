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
    Ask, Entry, Fate, MAX_TOPICS, Manner, Offers, Outcome, Phase, ResyncCounters, SNAPSHOT_SESSIONS, Speech, Step,
    TooManyTopics, Trouble, rest, words,
};
use crate::routing::{Marker, Topic};

/// Questions under way at a time. Few, so that a fresh connection serves callers while a thousand topics are renewed.
const ASKED_AT_A_TIME: usize = 8;
#[derive(Debug)]
struct Up {
    generation: Generation,
    offers: Offers,
    /// Whether all agents share one session, which lists leave out unless asked for it.
    global: Option<bool>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: BTreeMap<Topic, Entry>,
    /// Guards that hold [`Topic::Everything`]. It has no entry: it holds `Sessions`, and marks others as grown.
    everything: usize,
    /// A caller waits for the moment at which everything is subscribed.
    unsettled: bool,
    up: Option<Up>,
    speech: Speech,
    /// Topics with something to ask. Sessions come first, by their order.
    due: BTreeSet<Topic>,
    resting: BTreeSet<(Instant, Topic)>,
    asked: usize,
    counters: ResyncCounters,
}

impl Table {
    pub(super) const fn counters(&self) -> ResyncCounters {
        self.counters
    }

    /// Topics that are declared, those that `Everything` stands for included.
    pub(super) fn len(&self) -> usize {
        self.entries.values().filter(|entry| entry.needed()).count()
    }

    pub(super) const fn grows(&self) -> bool {
        self.everything > 0
    }

    /// Whether there is something to ask, and room for it.
    pub(super) fn has_work(&self) -> bool {
        self.up.is_some() && self.asked < ASKED_AT_A_TIME && !self.due.is_empty()
    }

    pub(super) fn subscribe_topic(&mut self, topic: &Topic) -> Result<(), TooManyTopics> {
        let own = entry_of(topic);
        if !self.entries.contains_key(own) && self.entries.len() >= MAX_TOPICS {
            return Err(TooManyTopics);
        }
        self.entries.entry(own.clone()).or_default().holders += 1;
        self.everything += usize::from(*topic == Topic::Everything);
        self.again(topic);
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
                self.shrink(|_| false);
            }
        }
        self.review(entry_of(topic));
    }

    /// Loads a topic again.
    pub(super) fn again(&mut self, topic: &Topic) {
        self.unsettled |= *topic == Topic::Everything;
        if let Some(entry) = self.entries.get_mut(entry_of(topic)) {
            entry.stale = true;
            if entry.phase == Phase::Refused {
                entry.phase = Phase::Idle;
            }
            self.review(entry_of(topic));
        }
    }

    /// The gateway dropped events: each loaded topic is loaded again. (A topic that is only subscribed stays so.)
    pub(super) fn gap(&mut self) {
        let topics: Vec<_> = self.entries.keys().cloned().collect();
        for topic in topics {
            if let Some(entry) = self.entries.get_mut(&topic) {
                entry.stale |= entry.holders > 0;
                self.review(&topic);
            }
        }
    }

    /// The line is up: nothing is subscribed, and everything stale.
    pub(super) fn begin(&mut self, generation: Generation, hello: &HelloOk) {
        self.end();
        if self.speech.version != hello.server.version {
            self.speech = Speech {
                version: hello.server.version.clone(),
                ..Speech::default()
            };
        }
        self.up = Some(Up {
            generation,
            offers: Offers::new(hello),
            global: SessionKeySpace::of(hello).is_global().then_some(true),
        });
        self.unsettled = self.everything > 0;
        for entry in self.entries.values_mut() {
            entry.stale = true;
            entry.failures = 0;
            entry.phase = Phase::Ready(None);
        }
        self.due = self.entries.keys().cloned().collect();
    }

    /// The line is down.
    pub(super) fn end(&mut self) {
        self.up = None;
        self.asked = 0;
        self.due.clear();
        self.resting.clear();
        self.entries.retain(|_, entry| entry.needed());
        for entry in self.entries.values_mut() {
            entry.phase = Phase::Idle;
            entry.subscribed = false;
        }
    }

    /// The requests to make now.
    pub(super) fn next(&mut self, now: Instant, rng: &mut impl Rng) -> (Vec<Ask>, Outcome) {
        while let Some((at, topic)) = self.resting.first().cloned()
            && at <= now
        {
            self.resting.pop_first();
            if let Some(entry) = self.entries.get_mut(&topic) {
                entry.phase = Phase::Ready(None);
                self.due.insert(topic);
            }
        }
        let mut asks = Vec::new();
        while self.has_work()
            && let Some(topic) = self.due.pop_first()
        {
            asks.extend(self.take_up(topic, now, rng));
        }
        let mut outcome = Outcome::default();
        self.tell_settled(&mut outcome);
        (asks, outcome)
    }

    /// When there is something to ask without anything happening before.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.resting.first().map(|(at, _)| *at)
    }

    fn take_up(&mut self, topic: Topic, now: Instant, rng: &mut impl Rng) -> Option<Ask> {
        let Up { generation, global, .. } = *self.up.as_ref()?;
        let first = self.first(&topic);
        let entry = self.entries.get_mut(&topic)?;
        match entry.phase {
            Phase::Failed(after) => {
                entry.failures += 1;
                let at = time::after(now, rest(entry.failures, after, rng));
                entry.phase = Phase::Resting(at);
                self.resting.insert((at, topic));
                None
            }
            Phase::Ready(step) => {
                entry.stale &= step.is_some();
                let Some(step) = step.or(first) else {
                    entry.phase = Phase::Idle;
                    return None;
                };
                entry.phase = Phase::Asked(step);
                self.asked += 1;
                Some(Ask {
                    topic,
                    step,
                    generation,
                    global,
                })
            }
            Phase::Idle | Phase::Asked(_) | Phase::Resting(_) | Phase::Refused => None,
        }
    }

    /// The first question for a topic; none where there is nothing to ask.
    fn first(&self, topic: &Topic) -> Option<Step> {
        let entry = self.entries.get(topic)?;
        let manner = match topic {
            Topic::Messages(_) => self.speech.messages,
            Topic::Sessions | Topic::Everything => self.speech.sessions,
        };
        match (topic, manner) {
            (Topic::Sessions, Manner::Listing) => Some(Step::Subscribe { listing: true }),
            // A subscription lasts as long as its connection: only the state has to be asked for again.
            (_, Manner::Listing | Manner::Bare) if !entry.subscribed => Some(Step::Subscribe { listing: false }),
            _ => (entry.holders > 0).then_some(Step::Snapshot),
        }
    }

    /// An answer was read, or its call ended without one.
    pub(super) fn answered(&mut self, ask: &Ask, end: Result<RawJson, CallError>) -> Outcome {
        let mut outcome = Outcome::default();
        let present = self.up.as_ref().is_some_and(|up| up.generation == ask.generation);
        let Some(entry) = self.entries.get_mut(&ask.topic).filter(|_| present) else {
            return outcome;
        };
        self.asked -= 1;
        entry.phase = Phase::Idle;
        match (ask.step, end) {
            (Step::Unsubscribe, _) => {
                entry.subscribed = false;
                entry.stale = true;
            }
            (Step::Subscribe { listing }, Ok(payload)) => {
                entry.subscribed = true;
                let loaded = entry.holders > 0;
                match listing.then(|| listed(&payload)).flatten() {
                    Some(list) => self.loaded(ask, Some(list), &mut outcome),
                    None if loaded => entry.phase = Phase::Ready(Some(Step::Snapshot)),
                    None => entry.failures = 0,
                }
            }
            (Step::Snapshot, Ok(payload)) => self.loaded(ask, Some(payload), &mut outcome),
            (_, Err(error)) => self.failed(ask, &error, &mut outcome),
        }
        self.review(&ask.topic);
        self.tell_settled(&mut outcome);
        outcome
    }

    fn loaded(&mut self, ask: &Ask, snapshot: Option<RawJson>, outcome: &mut Outcome) {
        let Some(entry) = self.entries.get_mut(&ask.topic) else {
            return;
        };
        entry.failures = 0;
        entry.told = None;
        if entry.holders == 0 {
            return;
        }
        let again = entry.stale;
        self.counters.done += 1;
        if ask.topic == Topic::Sessions && self.everything > 0 {
            self.follow(snapshot.as_ref());
        }
        outcome.markers.push(Marker::Resynced {
            generation: ask.generation,
            what: ask.topic.clone(),
            snapshot,
            again,
        });
    }

    fn failed(&mut self, ask: &Ask, error: &CallError, outcome: &mut Outcome) {
        let offered = self.up.as_ref().is_some_and(|up| up.offers.of(&ask.topic).subscribe);
        let Some(entry) = self.entries.get_mut(&ask.topic) else {
            return;
        };
        match (Fate::of(error), ask.step) {
            (Fate::NotKnown, Step::Subscribe { listing: true }) => {
                self.speech.sessions = Manner::Bare;
                entry.phase = Phase::Ready(None);
            }
            (Fate::NotKnown, Step::Subscribe { .. }) if !offered => {
                match ask.topic {
                    Topic::Messages(_) => self.speech.messages = Manner::Without,
                    _ => self.speech.sessions = Manner::Without,
                }
                entry.phase = Phase::Ready(None);
            }
            // A session that has no history yet, for example.
            (Fate::NotKnown, Step::Snapshot) if entry.subscribed => self.loaded(ask, None, outcome),
            (Fate::Later(after), _) => {
                entry.phase = Phase::Failed(after);
                entry.stale = true;
                self.counters.failed += 1;
                let known = entry.failures > 0;
                outcome.trouble = Some(Trouble::new(ask, error, false, known));
            }
            (Fate::NotKnown | Fate::Refused, _) => self.refuse(ask, error, outcome),
        }
    }

    fn refuse(&mut self, ask: &Ask, error: &CallError, outcome: &mut Outcome) {
        let Some(entry) = self.entries.get_mut(&ask.topic) else {
            return;
        };
        entry.phase = Phase::Refused;
        self.counters.refused += 1;
        let why = words(error);
        let known = entry.told.replace(why.clone()).is_some_and(|before| before == why);
        outcome.trouble = Some(Trouble::new(ask, error, true, known));
        self.unsettled &= ask.topic != Topic::Sessions;
        if entry.holders > 0 {
            outcome.markers.push(Marker::Unsynced {
                generation: ask.generation,
                what: ask.topic.clone(),
                why,
            });
        }
    }

    /// Decides the next step of a topic, after a change.
    fn review(&mut self, topic: &Topic) {
        let Some(entry) = self.entries.get_mut(topic) else {
            return;
        };
        if let Phase::Asked(_) = entry.phase {
            return;
        }
        if let Phase::Resting(at) = entry.phase {
            if entry.needed() {
                return;
            }
            self.resting.remove(&(at, topic.clone()));
        }
        let leave = self.up.as_ref().is_some_and(|up| up.offers.of(topic).unsubscribe);
        entry.phase = match (entry.needed(), entry.phase) {
            (false, _) if entry.subscribed && leave => Phase::Ready(Some(Step::Unsubscribe)),
            (false, _) => {
                self.entries.remove(topic);
                self.due.remove(topic);
                return;
            }
            (true, phase @ (Phase::Failed(_) | Phase::Refused | Phase::Ready(None | Some(Step::Snapshot)))) => phase,
            (true, _) if entry.stale => Phase::Ready(None),
            (true, _) => Phase::Idle,
        };
        if matches!(entry.phase, Phase::Idle | Phase::Refused) || self.up.is_none() {
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
    struct Answer {
        #[serde(default)]
        list: Option<RawJson>,
    }
    payload
        .decode::<Answer>()
        .ok()?
        .list
        .filter(|list| list.as_str() != "null")
}

/// A list of sessions, as far as it is followed.
#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    sessions: Vec<Row<'a>>,
    #[serde(rename = "hasMore", default)]
    has_more: Option<bool>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
}

impl Table {
    /// A session was seen, and `Everything` may be declared.
    pub(super) fn saw(&mut self, session: &str) {
        if self.everything > 0 {
            self.grow(session);
        }
    }

    /// Tells once that everything is subscribed, when nothing is to be asked any more.
    fn tell_settled(&mut self, outcome: &mut Outcome) {
        let Some(Up { generation, .. }) = self.up else {
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
    fn follow(&mut self, list: Option<&RawJson>) {
        // A list of another shape has nothing to follow; the one that asked for it gets it as it is.
        if let Some(list) = list {
            let _ = decode_with(list.as_str(), |text| {
                serde_json::from_str(text).map(|list| self.follow_rows(&list))
            });
        }
    }

    fn follow_rows(&mut self, list: &List<'_>) {
        let whole = list.has_more != Some(true) && list.sessions.len() < SNAPSHOT_SESSIONS as usize;
        if whole {
            let keys: BTreeSet<&str> = list.sessions.iter().map(|row| &*row.key).collect();
            self.shrink(|key| keys.contains(key));
        }
        for row in &list.sessions {
            self.grow(&row.key);
        }
    }

    fn grow(&mut self, session: &str) {
        let topic = Topic::messages(session);
        if let Some(entry) = self.entries.get_mut(&topic) {
            entry.grown = true;
            return;
        }
        if self.entries.len() >= MAX_TOPICS {
            self.counters.left_out += 1;
            return;
        }
        let entry = Entry {
            grown: true,
            stale: true,
            ..Entry::default()
        };
        self.entries.insert(topic.clone(), entry);
        self.unsettled = true;
        self.review(&topic);
    }

    /// Takes `Everything` off the sessions that are not to be kept.
    fn shrink(&mut self, keep: impl Fn(&str) -> bool) {
        let mut gone = Vec::new();
        for (topic, entry) in &mut self.entries {
            if entry.grown && !topic.session().is_some_and(&keep) {
                entry.grown = false;
                gone.push(topic.clone());
            }
        }
        for topic in gone {
            self.review(&topic);
        }
    }
}
