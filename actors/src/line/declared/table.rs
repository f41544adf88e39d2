//! What is declared on a line, and how far each topic is on the present connection.
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
use std::time::{Duration, Instant};

use rand::{Rng, RngExt as _};
use serde::Deserialize;
use windlass_protocol::{CallError, Generation, HelloOk, RawJson};

use super::TooManyTopics;
use super::asking::{Ask, Fate, Offers, Step};
use crate::routing::{Marker, Topic};

/// Topics of one line. Each costs a gateway one or two calls at each connection, and a gateway with more sessions than
/// this is watched by its agents, not as a whole.
pub const MAX_TOPICS: usize = 1024;
/// Questions under way at a time. Few, so that a fresh connection serves callers while a thousand topics are renewed.
const ASKED_AT_A_TIME: usize = 8;
/// First wait after a question that failed.
const REST_BASE: Duration = Duration::from_millis(500);
/// Longest wait: a gateway that is busy for minutes is asked twice a minute.
const REST_CAP: Duration = Duration::from_secs(30);

/// How often what was declared was loaded, since the line was made. Only ever grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ResyncCounters {
    /// Times that a topic was loaded: [`Marker::Resynced`] was told.
    pub done: u64,
    /// Questions that failed and were asked again later.
    pub failed: u64,
    /// Times that a gateway refused a topic.
    pub refused: u64,
    /// Sessions that [`Topic::Everything`] left out, because there were more than [`MAX_TOPICS`].
    pub left_out: u64,
}

/// How the gateway of a release is to be asked, as it has answered before.
#[derive(Debug, Clone, Default)]
struct Speech {
    /// The release that it was learnt from.
    version: String,
    sessions: Manner,
    messages: Manner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Manner {
    /// Subscribe with the parameters of a list. (One session's messages are always subscribed without any.)
    #[default]
    Listing,
    /// Subscribe, then ask for the state.
    Bare,
    /// There is no subscription: ask for the state.
    Without,
}

#[derive(Debug)]
struct Up {
    generation: Generation,
    offers: Offers,
}

#[derive(Debug, Default)]
struct Entry {
    /// Guards that hold it.
    holders: usize,
    /// Held by [`Topic::Everything`] as well.
    grown: bool,
    phase: Phase,
    /// Something may have been missed since it was loaded last.
    stale: bool,
    subscribed: bool,
    refused: bool,
    /// Failures in a row.
    failures: u32,
    /// The refusal that was logged last, so that it is not logged at every connection.
    told: Option<Box<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Idle,
    /// To be asked as soon as there is room; `None` is the first question, whichever that is.
    Ready(Option<Step>),
    Asked(Step),
    /// Failed just now; may be asked again not before so long.
    Failed(Option<Duration>),
    Resting(Instant),
}

impl Entry {
    const fn needed(&self) -> bool {
        self.holders > 0 || self.grown
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: BTreeMap<Topic, Entry>,
    /// Guards that hold [`Topic::Everything`]. It has no entry: it holds `Sessions`, and marks others as grown.
    everything: usize,
    /// Somebody waits to be told that everything is subscribed.
    unsettled: bool,
    up: Option<Up>,
    speech: Speech,
    /// Topics with something to ask. Sessions come first, by their order.
    due: BTreeSet<Topic>,
    resting: BTreeSet<(Instant, Topic)>,
    asked: usize,
    counters: ResyncCounters,
}

/// What came of an answer.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// To be told to subscribers, here and now.
    pub(super) markers: Vec<Marker>,
    /// To be logged.
    pub(super) trouble: Option<Trouble>,
}

/// A question that failed.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) topic: Topic,
    pub(super) why: Box<str>,
    pub(super) refused: bool,
    /// It was logged before.
    pub(super) known: bool,
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

    pub(super) fn declare(&mut self, topic: &Topic) -> Result<(), TooManyTopics> {
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
            entry.refused = false;
            self.review(entry_of(topic));
        }
    }

    /// The gateway dropped events: whatever is loaded is loaded again. (What is subscribed only stays subscribed.)
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
        });
        self.unsettled = self.everything > 0;
        for entry in self.entries.values_mut() {
            entry.stale = true;
            entry.refused = false;
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

    /// A session was seen, and `Everything` may be declared.
    pub(super) fn saw(&mut self, session: &str) {
        if self.everything > 0 {
            self.grow(session);
        }
    }

    /// What to ask now.
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
        let generation = self.up.as_ref()?.generation;
        let first = self.first(&topic);
        let entry = self.entries.get_mut(&topic)?;
        match entry.phase {
            Phase::Failed(after) => {
                entry.failures += 1;
                let at = now + rest(entry.failures, after, rng);
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
                })
            }
            Phase::Idle | Phase::Asked(_) | Phase::Resting(_) => None,
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
        self.counters.done += 1;
        if ask.topic == Topic::Sessions && self.everything > 0 {
            self.follow(snapshot.as_ref());
        }
        outcome.markers.push(Marker::Resynced {
            generation: ask.generation,
            what: ask.topic.clone(),
            snapshot,
        });
    }

    fn failed(&mut self, ask: &Ask, error: &CallError, outcome: &mut Outcome) {
        let offered = self.up.as_ref().is_some_and(|up| up.offers.subscribe(&ask.topic));
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
                outcome.trouble = Some(trouble(ask, error, false, known));
            }
            (Fate::NotKnown | Fate::Refused, _) => self.refuse(ask, error, outcome),
        }
    }

    fn refuse(&mut self, ask: &Ask, error: &CallError, outcome: &mut Outcome) {
        let Some(entry) = self.entries.get_mut(&ask.topic) else {
            return;
        };
        entry.refused = true;
        self.counters.refused += 1;
        let why = words(error);
        let known = entry.told.replace(why.clone()).is_some_and(|before| before == why);
        outcome.trouble = Some(trouble(ask, error, true, known));
        self.unsettled &= ask.topic != Topic::Sessions;
        if entry.holders > 0 {
            outcome.markers.push(Marker::Unsynced {
                generation: ask.generation,
                what: ask.topic.clone(),
                why,
            });
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
            });
        }
    }

    /// Brings the sessions of `Everything` in line with a list of sessions.
    fn follow(&mut self, list: Option<&RawJson>) {
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
        // A list of another shape has nothing to follow; whoever asked for it gets it as it is.
        let Some(list) = list.and_then(|list| serde_json::from_str::<List<'_>>(list.as_str()).ok()) else {
            return;
        };
        let whole = list.has_more != Some(true) && list.sessions.len() < super::asking::SNAPSHOT_SESSIONS as usize;
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

    /// Decides what is next for a topic, after anything about it changed.
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
        let leave = self.up.as_ref().is_some_and(|up| up.offers.unsubscribe(topic));
        entry.phase = match (entry.needed(), entry.phase) {
            (false, _) if entry.subscribed && leave => Phase::Ready(Some(Step::Unsubscribe)),
            (false, _) => {
                self.entries.remove(topic);
                self.due.remove(topic);
                return;
            }
            (true, phase @ (Phase::Failed(_) | Phase::Ready(None | Some(Step::Snapshot)))) => phase,
            (true, _) if entry.stale && !entry.refused => Phase::Ready(None),
            (true, _) => Phase::Idle,
        };
        if entry.phase == Phase::Idle || self.up.is_none() {
            self.due.remove(topic);
        } else {
            self.due.insert(topic.clone());
        }
    }
}

/// The topic whose entry stands for this one.
const fn entry_of(topic: &Topic) -> &Topic {
    match topic {
        Topic::Everything => &Topic::Sessions,
        own => own,
    }
}

fn trouble(ask: &Ask, error: &CallError, refused: bool, known: bool) -> Trouble {
    Trouble {
        topic: ask.topic.clone(),
        why: words(error),
        refused,
        known,
    }
}

/// What went wrong, for people: what the gateway said, where it said something.
fn words(error: &CallError) -> Box<str> {
    match error {
        CallError::Rejected(rejected) => rejected.error.to_string(),
        other => other.to_string(),
    }
    .into()
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

/// How long to wait after so many failures in a row: doubled each time, half of it by chance.
fn rest(failures: u32, asked_for: Option<Duration>, rng: &mut impl Rng) -> Duration {
    let doubled = REST_BASE
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(REST_CAP);
    let own = doubled.mul_f64(rng.random_range(0.5..=1.0));
    asked_for.map_or(own, |asked| asked.min(REST_CAP).max(own))
}
