use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use windlass_protocol::{GatewayError, MethodName, OutcomeUnknown, Rejected, TimedOut, UnknownReason};

use super::*;
use crate::routing::Marker;
use request::TopicStep;
use std::time::Duration;

const GENERATION: Generation = Generation::new(1);
const LISTING: TopicStep = TopicStep::Subscribe { listing: true };
const BARE: TopicStep = TopicStep::Subscribe { listing: false };

struct Bench {
    table: TopicProgress,
    rng: StdRng,
    now: Instant,
    markers: Vec<String>,
}

fn hello(version: &str, methods: &[&str]) -> HelloOk {
    serde_json::from_value(json!({
        "type": "hello-ok", "protocol": 4, "server": {"version": version, "connId": "c"},
        "features": {"methods": methods}, "snapshot": {}, "policy": {},
    }))
    .unwrap()
}

fn rejected(error: serde_json::Value) -> CallError {
    let error: GatewayError = serde_json::from_value(error).unwrap();
    CallError::Rejected(Box::new(Rejected {
        method: MethodName::new("m").unwrap(),
        error,
    }))
}

fn not_known() -> CallError {
    rejected(json!({"code": "INVALID_REQUEST", "message": "unknown method: m"}))
}

fn busy() -> CallError {
    rejected(json!({"code": "UNAVAILABLE", "message": "", "retryable": true, "retryAfterMs": 2000}))
}

fn list(keys: &[&str]) -> RawJson {
    let rows: Vec<_> = keys.iter().map(|key| json!({"key": key})).collect();
    RawJson::from_value(&json!({"sessions": rows, "hasMore": false})).unwrap()
}

fn ok() -> RawJson {
    RawJson::parse(r#"{"subscribed":true}"#).unwrap()
}

impl Bench {
    /// A release that knows all the methods, and can't take the sessions back (as 2026.8 and later).
    fn up() -> Self {
        let mut bench = Self {
            table: TopicProgress::default(),
            rng: StdRng::seed_from_u64(1),
            #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
            now: Instant::now(),
            markers: Vec::new(),
        };
        bench.begin(
            1,
            &[
                "sessions.subscribe",
                "sessions.messages.subscribe",
                "sessions.messages.unsubscribe",
            ],
        );
        bench
    }

    fn begin(&mut self, generation: u64, methods: &[&str]) {
        self.table.on_up(Generation::new(generation), &hello("v", methods));
    }

    fn requests(&mut self) -> Vec<TopicRequest> {
        let (requests, outcome) = self.table.next_requests(self.now, &mut self.rng);
        self.note(outcome);
        requests
    }

    /// The one question that is due.
    fn ask(&mut self) -> TopicRequest {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    fn answer(&mut self, request: &TopicRequest, end: Result<RawJson, CallError>) {
        let outcome = self.table.on_answer(request, end);
        self.note(outcome);
    }

    /// Asks, expects this step, and answers.
    fn step(&mut self, step: TopicStep, end: Result<RawJson, CallError>) {
        let request = self.ask();
        assert_eq!(request.step, step);
        self.answer(&request, end);
    }

    fn note(&mut self, outcome: TopicOutcome) {
        for marker in outcome.markers {
            self.markers.push(match marker {
                Marker::Resynced { what, snapshot, .. } => format!("{what} {}", snapshot.is_some()),
                Marker::Unsynced { what, .. } => format!("{what} refused"),
                other => panic!("{other:?}"),
            });
        }
    }

    /// Answers well whatever is asked, until nothing is.
    fn answer_all(&mut self, open: &mut Vec<TopicRequest>, seed: u64) {
        for _ in 0..100 {
            for request in std::mem::take(open) {
                self.answer(&request, Ok(list(&["a", "b", "c"])));
            }
            self.now += Duration::from_secs(60);
            open.extend(self.requests());
        }
        assert!(open.is_empty(), "seed {seed}: {open:?}");
    }

    fn idle(&mut self) {
        let requests = self.requests();
        assert!(requests.is_empty(), "{requests:?}");
        assert_eq!(self.table.next_at(), None);
    }
}

#[test]
fn the_state_comes_with_the_subscription_where_the_release_gives_it() {
    let mut bench = Bench::up();
    bench.table.hold(&Topic::Sessions).unwrap();
    let answer = RawJson::parse(r#"{"subscribed":true,"list":{"sessions":[]}}"#).unwrap();
    bench.step(LISTING, Ok(answer));
    assert_eq!(bench.markers, ["sessions true"]);
    bench.idle();
}

#[test]
fn a_release_that_refuses_parameters_is_asked_in_two_steps_and_not_tried_again() {
    let mut bench = Bench::up();
    bench.table.hold(&Topic::Sessions).unwrap();
    bench.step(LISTING, Err(not_known()));
    bench.step(BARE, Ok(ok()));
    bench.step(TopicStep::Snapshot, Ok(list(&[])));
    bench.table.on_gap();
    bench.step(TopicStep::Snapshot, Ok(list(&[])));
    bench.begin(2, &["sessions.subscribe"]);
    let request = bench.ask();
    assert_eq!((request.step, request.generation), (BARE, Generation::new(2)));
    assert_eq!(bench.markers, ["sessions true", "sessions true"]);
}

#[test]
fn a_release_without_subscriptions_gives_its_state_only() {
    let mut bench = Bench::up();
    bench.begin(1, &[]);
    bench.table.hold(&Topic::Sessions).unwrap();
    bench.table.hold(&Topic::messages("k")).unwrap();
    let requests = bench.requests();
    assert_eq!(
        requests.iter().map(|request| request.step).collect::<Vec<_>>(),
        [LISTING, BARE]
    );
    bench.answer(&requests[0], Err(not_known()));
    // What generation 3 says to those without admin.
    let no_admin = rejected(json!({"code": "INVALID_REQUEST", "message": "missing scope: operator.admin"}));
    bench.answer(&requests[1], Err(no_admin));
    let requests = bench.requests();
    assert_eq!(
        requests.iter().map(|request| request.step).collect::<Vec<_>>(),
        [BARE, TopicStep::Snapshot]
    );
    bench.answer(&requests[0], Err(not_known()));
    bench.answer(&requests[1], Ok(list(&[])));
    bench.step(TopicStep::Snapshot, Ok(list(&[])));
    assert_eq!(bench.markers, ["messages of k true", "sessions true"]);
    bench.idle();
}

#[test]
fn an_advertised_subscription_that_is_refused_is_told_and_left_alone() {
    let mut bench = Bench::up();
    bench.table.hold(&Topic::Sessions).unwrap();
    let scope = rejected(json!({"code": "FORBIDDEN", "message": "missing scope: operator.read",
        "details": {"code": "MISSING_SCOPE", "missingScope": "operator.read"}}));
    bench.step(LISTING, Err(scope));
    bench.table.on_gap();
    bench.idle();
    assert_eq!(bench.markers, ["sessions refused"]);
    assert_eq!(bench.table.counters().refused, 1);
    bench.table.reload(&Topic::Sessions);
    assert_eq!(bench.ask().step, LISTING);
}

#[test]
fn gaps_while_it_is_loaded_cost_one_more_load() {
    let mut bench = Bench::up();
    bench.table.hold(&Topic::Sessions).unwrap();
    bench.step(LISTING, Ok(ok()));
    let snapshot = bench.ask();
    for _ in 0..10 {
        bench.table.on_gap();
        assert!(bench.requests().is_empty());
    }
    bench.answer(&snapshot, Ok(list(&[])));
    bench.step(LISTING, Ok(ok()));
    bench.step(TopicStep::Snapshot, Ok(list(&[])));
    bench.idle();
    assert_eq!(bench.markers.len(), 2);
}

#[test]
fn a_failure_is_tried_again_after_a_growing_rest() {
    let mut bench = Bench::up();
    bench.table.hold(&Topic::Sessions).unwrap();
    let mut rests = Vec::new();
    for _ in 0..9 {
        bench.step(LISTING, Err(busy()));
        assert!(bench.requests().is_empty());
        let at = bench.table.next_at().unwrap();
        rests.push(at - bench.now);
        bench.now = at;
    }
    assert!(rests[0] == Duration::from_secs(2), "as the gateway asked: {rests:?}");
    assert!(
        rests[8] >= Duration::from_secs(15) && rests[8] <= Duration::from_secs(30),
        "{rests:?}"
    );
    let late = TimedOut {
        method: MethodName::new("m").unwrap(),
        after: Duration::from_secs(30),
    };
    bench.step(LISTING, Err(late.into()));
    assert!(bench.requests().is_empty());
    bench.now += Duration::from_secs(30);
    bench.step(LISTING, Ok(RawJson::parse(r#"{"list":{}}"#).unwrap()));
    bench.idle();
    assert_eq!((bench.table.counters().failed, bench.table.counters().done), (10, 1));
}

#[test]
fn the_last_holder_takes_a_subscription_back_where_that_can_be() {
    let mut bench = Bench::up();
    let topic = Topic::messages("k");
    bench.table.hold(&topic).unwrap();
    bench.table.hold(&topic).unwrap();
    bench.step(BARE, Ok(ok()));
    bench.step(TopicStep::Snapshot, Ok(list(&[])));
    bench.table.release(&topic);
    bench.idle();
    bench.table.release(&topic);
    let leave = bench.ask();
    assert_eq!(leave.step, TopicStep::Unsubscribe);
    // TopicSubscription again before the answer is in: only then is it subscribed again, for answers may cross.
    bench.table.hold(&topic).unwrap();
    assert!(bench.requests().is_empty());
    bench.answer(&leave, Ok(ok()));
    bench.step(BARE, Ok(ok()));
    bench.table.release(&topic);
    bench.step(TopicStep::Unsubscribe, Ok(ok()));
    bench.idle();
    assert_eq!(bench.table.len(), 0);
    // The sessions can't be taken back here: the line just forgets them.
    bench.table.hold(&Topic::Sessions).unwrap();
    bench.step(LISTING, Ok(ok()));
    bench.table.release(&Topic::Sessions);
    bench.idle();
    assert_eq!(bench.table.len(), 0);
}

#[test]
fn everything_follows_the_list_and_tells_when_all_of_it_is_subscribed() {
    let mut bench = Bench::up();
    bench.table.hold(&Topic::Everything).unwrap();
    bench.step(LISTING, Ok(ok()));
    bench.step(TopicStep::Snapshot, Ok(list(&["a", "b"])));
    let requests = bench.requests();
    assert_eq!(
        requests.iter().map(|request| request.step).collect::<Vec<_>>(),
        [BARE, BARE]
    );
    bench.answer(&requests[0], Ok(ok()));
    assert_eq!(bench.markers, ["sessions true"]);
    bench.answer(&requests[1], Ok(ok()));
    assert_eq!(bench.markers, ["sessions true", "everything false"]);
    bench.table.on_session_seen("a");
    bench.idle();
    bench.table.on_session_seen("c");
    bench.step(BARE, Ok(ok()));
    assert_eq!(bench.markers.len(), 3);
    // `a` is gone from the next list, and is taken back.
    bench.table.reload(&Topic::Sessions);
    bench.step(LISTING, Ok(ok()));
    bench.step(TopicStep::Snapshot, Ok(list(&["b", "c"])));
    bench.step(TopicStep::Unsubscribe, Ok(ok()));
    assert_eq!(bench.table.len(), 3);
    bench.table.release(&Topic::Everything);
    assert_eq!(bench.requests().len(), 2);
    assert_eq!(bench.table.len(), 0);
}

#[test]
fn everything_is_settled_at_once_where_there_are_no_subscriptions() {
    let mut bench = Bench::up();
    bench.begin(1, &[]);
    bench.table.hold(&Topic::Everything).unwrap();
    bench.step(LISTING, Err(not_known()));
    bench.step(BARE, Err(not_known()));
    bench.step(TopicStep::Snapshot, Ok(list(&["a", "b"])));
    let requests = bench.requests();
    for request in &requests {
        bench.answer(request, Err(not_known()));
    }
    bench.idle();
    assert_eq!(
        (requests.len(), bench.markers.join(", ")),
        (2, "sessions true, everything false".into())
    );
}

#[test]
fn an_answer_of_an_earlier_connection_means_nothing() {
    let mut bench = Bench::up();
    bench.table.hold(&Topic::Sessions).unwrap();
    let old = bench.ask();
    bench.table.on_down();
    bench.begin(2, &[]);
    let lost = OutcomeUnknown {
        method: MethodName::new("m").unwrap(),
        generation: GENERATION,
        why: UnknownReason::LineLost,
    };
    bench.answer(&old, Err(lost.into()));
    assert_eq!(bench.ask().generation, Generation::new(2));
    assert_eq!((bench.markers.len(), bench.table.counters().failed), (0, 0));
}

#[test]
fn a_line_keeps_so_many_topics_and_asks_a_few_at_a_time() {
    let mut bench = Bench::up();
    for n in 0..MAX_TOPICS {
        bench.table.hold(&Topic::messages(n.to_string())).unwrap();
    }
    assert_eq!(bench.table.hold(&Topic::messages("one more")), Err(TooManyTopics));
    bench.table.hold(&Topic::messages("0")).unwrap();
    let mut asked = 0;
    loop {
        let requests = bench.requests();
        if requests.is_empty() {
            break;
        }
        assert!(requests.len() <= 8);
        for request in requests {
            asked += 1;
            bench.answer(&request, Ok(ok()));
        }
    }
    assert_eq!(asked, 2 * MAX_TOPICS);
    bench.idle();
}

/// Anything, in any order: nothing is asked twice at a time, no more than a few are under way, and in the end every topic
/// that is held is loaded and nothing else is known.
#[test]
fn whatever_happens_in_whatever_order_what_is_held_ends_up_loaded() {
    for seed in 0..300 {
        let mut bench = Bench::up();
        bench.rng = StdRng::seed_from_u64(seed);
        let mut chance = StdRng::seed_from_u64(seed);
        let topics = [
            Topic::Sessions,
            Topic::Everything,
            Topic::messages("a"),
            Topic::messages("b"),
        ];
        let (mut held, mut open, mut generation) = (Vec::new(), Vec::<TopicRequest>::new(), 1);
        for _ in 0..200 {
            match chance.random_range(0..12) {
                0..2 => {
                    let topic = topics[chance.random_range(0..topics.len())].clone();
                    bench.table.hold(&topic).unwrap();
                    held.push(topic);
                }
                2..4 if !held.is_empty() => bench
                    .table
                    .release(&held.swap_remove(chance.random_range(0..held.len()))),
                4 => bench.table.on_gap(),
                5 => {
                    generation += 1;
                    bench.table.on_down();
                    bench.begin(generation, &["sessions.subscribe", "sessions.messages.unsubscribe"]);
                }
                6 => bench.table.on_session_seen(["a", "c", "d"][chance.random_range(0..3)]),
                7 => bench.now += Duration::from_secs(chance.random_range(0..40)),
                _ if !open.is_empty() => {
                    let request = open.swap_remove(chance.random_range(0..open.len()));
                    let end = match chance.random_range(0..6) {
                        0 => Err(busy()),
                        1 if request.step != LISTING => Err(not_known()),
                        _ => Ok(list(&["a", "b", "c"])),
                    };
                    bench.answer(&request, end);
                }
                _ => {}
            }
            open.extend(bench.requests());
            let present: Vec<_> = open
                .iter()
                .filter(|request| request.generation.number() == generation)
                .collect();
            let mut names: Vec<_> = present.iter().map(|request| request.topic.to_string()).collect();
            names.sort_unstable();
            names.dedup();
            assert!(
                names.len() == present.len() && names.len() <= 8,
                "seed {seed}: {present:?}"
            );
        }
        for topic in &held {
            bench.table.reload(topic);
        }
        bench.markers.clear();
        bench.answer_all(&mut open, seed);
        for topic in &held {
            let loaded = bench
                .markers
                .iter()
                .any(|marker| marker.starts_with(&topic.to_string()));
            assert!(loaded, "seed {seed}: {topic} is not among {:?}", bench.markers);
        }
        for topic in held {
            bench.table.release(&topic);
        }
        bench.answer_all(&mut open, seed);
        assert_eq!((bench.table.len(), bench.table.has_work()), (0, false), "seed {seed}");
    }
}
