use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;
use crate::Frame;

/// Every end that was told, by the caller's own number; a second end for one call fails the test at once.
#[derive(Debug, Clone, Default)]
struct Ends(Rc<RefCell<BTreeMap<usize, Result<String, CallError>>>>);

#[derive(Debug)]
struct Slot {
    caller: usize,
    ends: Ends,
    abandoned: bool,
}

impl ReplySlot for Slot {
    fn is_abandoned(&self) -> bool {
        self.abandoned
    }

    fn reply(self, end: Result<RawJson, CallError>, _: Option<Generation>) {
        let end = end.map(|payload| payload.as_str().to_owned());
        let before = self.ends.0.borrow_mut().insert(self.caller, end);
        assert_eq!(before, None, "call {} ended twice", self.caller);
    }
}

const LIMITS: CallLimits = CallLimits {
    in_flight: 3,
    waiting: 4,
};
const GENERATION: Generation = Generation::new(1);
const WIRE: Wire = Wire {
    generation: GENERATION,
    max_payload: 1000,
    takes_traceparent: false,
};

struct Bench {
    calls: CallTable<Slot>,
    ends: Ends,
    start: Instant,
    admitted: usize,
}

impl Bench {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
        let start = Instant::now();
        Self {
            calls: CallTable::new(LIMITS),
            ends: Ends::default(),
            start,
            admitted: 0,
        }
    }

    fn up() -> Self {
        let mut bench = Self::new();
        bench.calls.restored(Continuity::Unknown, bench.start);
        bench
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn request(&mut self, resend: Resend) -> CallRequest<Slot> {
        let caller = self.admitted;
        self.admitted += 1;
        CallRequest {
            method: MethodName::new("agents.create").unwrap(),
            params: None,
            deadline: self.at(30),
            resend,
            answers: AnswerMode::First,
            wait_for_line: true,
            trace: None,
            slot: Slot {
                caller,
                ends: self.ends.clone(),
                abandoned: false,
            },
        }
    }

    fn admit(&mut self, resend: Resend) -> usize {
        let request = self.request(resend);
        self.calls.admit(Box::new(request), self.start);
        self.admitted - 1
    }

    fn send(&mut self) -> Option<CallId> {
        self.send_at(self.start)
    }

    fn send_at(&mut self, now: Instant) -> Option<CallId> {
        let mut frame = String::new();
        if !self.calls.next_frame(now, &WIRE, &mut frame) {
            assert_eq!(frame, "");
            return None;
        }
        let frame: serde_json::Value = serde_json::from_str(&frame).unwrap();
        CallId::parse(frame["id"].as_str().unwrap())
    }

    fn answer(&mut self, id: CallId, payload: &str) -> AnswerEffect {
        let text = ByteString::from(format!(
            r#"{{"type":"res","id":"{}","ok":true,"payload":{payload}}}"#,
            id.number()
        ));
        let Ok(Frame::Response(response)) = Frame::decode(&text) else {
            panic!("{text}")
        };
        self.calls.answer(id, response.outcome, &text)
    }

    fn refuse(&mut self, id: CallId) {
        let error = GatewayError::new(crate::ErrorCode::Unavailable, "not now");
        let ended = self.calls.answer(id, Err(error), &ByteString::new());
        assert_eq!(ended, AnswerEffect::Ended);
    }

    fn end(&self, caller: usize) -> Option<Result<String, CallError>> {
        self.ends.0.borrow().get(&caller).cloned()
    }

    fn unknown(&self, caller: usize) -> Option<UnknownReason> {
        match self.end(caller) {
            Some(Err(CallError::OutcomeUnknown(unknown))) => Some(unknown.why),
            _ => None,
        }
    }
}

#[test]
fn each_answer_reaches_the_call_that_asked() {
    let mut bench = Bench::up();
    let (first, second) = (bench.admit(Resend::Never), bench.admit(Resend::Never));
    let ids = [bench.send().unwrap(), bench.send().unwrap()];
    assert_eq!(bench.answer(ids[1], "2"), AnswerEffect::Ended);
    assert_eq!(bench.answer(ids[0], "1"), AnswerEffect::Ended);
    assert_eq!(
        (bench.end(first), bench.end(second)),
        (Some(Ok("1".into())), Some(Ok("2".into())))
    );
    assert!(bench.calls.is_empty());
}

#[test]
fn an_answer_to_no_call_is_stray() {
    let mut bench = Bench::up();
    bench.admit(Resend::Never);
    let id = bench.send().unwrap();
    bench.answer(id, "1");
    assert_eq!(bench.answer(id, "2"), AnswerEffect::Stray);
    assert_eq!(bench.answer(CallId::new(99), "3"), AnswerEffect::Stray);
    assert_eq!(bench.calls.counters().stray, 2);
}

#[test]
fn a_run_may_be_waited_for_to_its_second_answer() {
    let mut bench = Bench::up();
    let mut request = bench.request(Resend::SameBoot);
    request.answers = AnswerMode::Final;
    bench.calls.admit(Box::new(request), bench.start);
    let id = bench.send().unwrap();
    assert_eq!(
        bench.answer(id, r#"{"runId":"r","status":"accepted"}"#),
        AnswerEffect::Accepted
    );
    assert_eq!(bench.answer(id, r#"{"status":"ok"}"#), AnswerEffect::Ended);
    assert_eq!(bench.end(0), Some(Ok(r#"{"status":"ok"}"#.into())));
}

#[test]
fn after_a_loss_only_what_is_safe_is_sent_again_and_in_order() {
    let mut bench = Bench::up();
    let (read, create, send) = (
        bench.admit(Resend::Always),
        bench.admit(Resend::Never),
        bench.admit(Resend::SameBoot),
    );
    let later = bench.admit(Resend::Never);
    let before: Vec<_> = std::iter::from_fn(|| bench.send()).collect();
    bench.calls.lost();
    assert_eq!(bench.unknown(create), Some(UnknownReason::LineLost));
    bench.calls.restored(Continuity::Same, bench.start);
    let again: Vec<_> = std::iter::from_fn(|| bench.send()).collect();
    assert_eq!(again[..2], [before[0], before[2]]);
    assert_eq!((bench.end(read), bench.end(send), bench.end(later)), (None, None, None));
    assert_eq!(bench.calls.counters().resent, 2);
}

#[test]
fn a_keyed_call_is_not_sent_again_to_a_gateway_that_lost_its_memory() {
    for (continuity, why) in [
        (Continuity::Restarted, UnknownReason::GatewayRestarted),
        (Continuity::Unknown, UnknownReason::MaybeRestarted),
    ] {
        let mut bench = Bench::up();
        let (read, send) = (bench.admit(Resend::Always), bench.admit(Resend::SameBoot));
        while bench.send().is_some() {}
        let unsent = bench.admit(Resend::SameBoot);
        bench.calls.lost();
        bench.calls.restored(continuity, bench.start);
        assert_eq!(bench.unknown(send), Some(why));
        assert_eq!((bench.end(read), bench.end(unsent)), (None, None));
        assert_eq!(bench.calls.waiting(), 2);
    }
}

#[test]
fn a_refusal_of_a_repetition_says_nothing_of_the_attempt_before() {
    for (resend, unknown) in [
        (Resend::SameBoot, Some(UnknownReason::RepeatRefused)),
        (Resend::Always, None),
    ] {
        let mut bench = Bench::up();
        let (first, second) = (bench.admit(resend), bench.admit(resend));
        let id = bench.send().unwrap();
        bench.refuse(id);
        assert_eq!(bench.unknown(first), None, "it was sent once: {:?}", bench.end(first));
        let id = bench.send().unwrap();
        bench.calls.lost();
        bench.calls.restored(Continuity::Same, bench.start);
        assert_eq!(bench.send(), Some(id));
        bench.refuse(id);
        assert_eq!(bench.unknown(second), unknown);
    }
}

#[test]
fn a_key_is_trusted_only_as_long_as_the_gateway_remembers_it() {
    for (seconds, why) in [(299, None), (300, Some(UnknownReason::KeyForgotten))] {
        let mut bench = Bench::up();
        let mut request = bench.request(Resend::SameBoot);
        request.deadline = bench.at(3600);
        bench.calls.admit(Box::new(request), bench.start);
        bench.send().unwrap();
        bench.calls.lost();
        bench.calls.restored(Continuity::Same, bench.at(seconds));
        assert_eq!(bench.unknown(0), why, "after {seconds} s");
    }
}

#[test]
fn a_deadline_tells_whether_the_request_was_sent() {
    let mut bench = Bench::up();
    let sent = bench.admit(Resend::Never);
    bench.send().unwrap();
    let unsent = bench.admit(Resend::Never);
    assert_eq!(bench.calls.next_deadline(), Some(bench.at(30)));
    bench.calls.expire(bench.at(29));
    assert_eq!(bench.end(sent), None);
    bench.calls.expire(bench.at(30));
    assert!(matches!(bench.end(sent), Some(Err(CallError::TimedOut(_)))));
    assert!(matches!(
        bench.end(unsent),
        Some(Err(CallError::NotSent(NotSent::NotReady { .. })))
    ));
    assert!(bench.calls.is_empty() && bench.calls.next_deadline().is_none());
}

#[test]
fn a_call_that_is_late_when_its_turn_comes_is_not_sent() {
    let mut bench = Bench::up();
    let late = bench.admit(Resend::Always);
    assert_eq!(bench.send_at(bench.at(31)), None);
    assert!(matches!(bench.end(late), Some(Err(CallError::NotSent(_)))));
}

#[test]
fn a_frame_over_the_gateways_limit_ends_its_call_and_no_other() {
    let mut bench = Bench::up();
    let mut large = bench.request(Resend::Always);
    large.params = Some(RawJson::from_value(&"x".repeat(2000)).unwrap());
    bench.calls.admit(Box::new(large), bench.start);
    bench.admit(Resend::Always);
    assert!(bench.send().is_some());
    assert!(matches!(
        bench.end(0),
        Some(Err(CallError::NotSent(NotSent::TooLarge { limit: 1000, .. })))
    ));
}

#[test]
fn a_cancelled_call_frees_its_place_without_being_sent() {
    let mut bench = Bench::up();
    let mut request = bench.request(Resend::Always);
    request.slot.abandoned = true;
    bench.calls.admit(Box::new(request), bench.start);
    assert_eq!(bench.send(), None);
    assert_eq!((bench.calls.is_empty(), bench.calls.counters().abandoned), (true, 1));
}

#[test]
fn bounds_hold_for_what_waits_and_for_what_is_in_flight() {
    let mut bench = Bench::up();
    for _ in 0..LIMITS.waiting {
        bench.admit(Resend::Always);
    }
    let refused = bench.admit(Resend::Always);
    assert!(matches!(
        bench.end(refused),
        Some(Err(CallError::NotSent(NotSent::QueueFull { limit: 4 })))
    ));
    assert_eq!(std::iter::from_fn(|| bench.send()).count(), LIMITS.in_flight);
}

#[test]
fn a_call_that_does_not_want_to_wait_ends_at_once_when_the_line_is_down() {
    let mut bench = Bench::new();
    let mut request = bench.request(Resend::Always);
    request.wait_for_line = false;
    bench.calls.admit(Box::new(request), bench.start);
    assert_eq!(bench.end(0), Some(Err(NotSent::WouldWait.into())));
}

#[test]
fn closing_ends_what_was_sent_and_what_was_not_differently() {
    let mut bench = Bench::up();
    let sent = bench.admit(Resend::Always);
    bench.send().unwrap();
    let unsent = bench.admit(Resend::Always);
    bench.calls.close();
    assert_eq!(bench.unknown(sent), Some(UnknownReason::Closed));
    assert_eq!(bench.end(unsent), Some(Err(NotSent::Closed.into())));
    assert!(bench.calls.is_empty());
}

/// The events of a line.
#[derive(Debug, Clone)]
enum Step {
    Admit(u8),
    Send,
    Answer(usize),
    Lose,
    Restore(u8),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..3).prop_map(Step::Admit),
        4 => Just(Step::Send),
        3 => any::<usize>().prop_map(Step::Answer),
        1 => Just(Step::Lose),
        1 => (0u8..3).prop_map(Step::Restore),
        1 => (0u64..20).prop_map(Step::Pass),
    ]
}

proptest! {
    /// The model: a set of callers. In every case, each has exactly one end once the line is closed (a second one
    /// panics in the slot), and a call that may not be repeated is never written twice.
    #[test]
    fn every_call_ends_exactly_once_and_never_is_an_unsafe_one_sent_twice(steps in prop::collection::vec(step(), 1..120)) {
        let mut bench = Bench::up();
        let mut up = true;
        let (mut now, mut flying, mut written) = (0, Vec::new(), BTreeMap::<u64, u32>::new());
        let mut never = std::collections::BTreeSet::new();
        for step in steps {
            match step {
                Step::Admit(kind) => {
                    let resend = [Resend::Always, Resend::SameBoot, Resend::Never][usize::from(kind)];
                    let id = bench.calls.next_id;
                    let mut request = bench.request(resend);
                    request.deadline = bench.at(now + 30);
                    bench.calls.admit(Box::new(request), bench.at(now));
                    if resend == Resend::Never { never.insert(id); }
                }
                Step::Send if up => {
                    if let Some(id) = bench.send_at(bench.at(now)) {
                        *written.entry(id.number()).or_default() += 1;
                        flying.push(id);
                    }
                }
                Step::Answer(pick) if up && !flying.is_empty() => {
                    let id = flying.swap_remove(pick % flying.len());
                    bench.answer(id, "1");
                }
                Step::Lose => { bench.calls.lost(); up = false; flying.clear(); }
                Step::Restore(kind) if !up => {
                    let continuity = [Continuity::Same, Continuity::Restarted, Continuity::Unknown][usize::from(kind)];
                    bench.calls.restored(continuity, bench.at(now));
                    up = true;
                }
                Step::Pass(seconds) => { now += seconds; bench.calls.expire(bench.at(now)); }
                Step::Send | Step::Answer(_) | Step::Restore(_) => {}
            }
            prop_assert!(bench.calls.in_flight() <= LIMITS.in_flight);
        }
        bench.calls.close();
        prop_assert!(bench.calls.is_empty());
        prop_assert_eq!(bench.ends.0.borrow().len(), bench.admitted);
        for id in never {
            prop_assert!(written.get(&id).copied().unwrap_or(0) <= 1, "call {} was written twice", id);
        }
    }
}
