//! The calls of one line, beside a model of them.

mod model;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use arbitrary::{Arbitrary, Result, Unstructured};
use bytestring::ByteString;
use windlass_protocol::connection::{
    AnswerEffect, AnswerMode, CallLimits, CallRequest, CallTable, Continuity, ReplySlot, Resend, Wire,
};
use windlass_protocol::{CallError, CallId, Frame, Generation, MethodName, NotSent, RawJson, UnknownReason};

use self::model::{End, Model};
use crate::shared::{epoch, steps};

/// Small, so that they are met.
const LIMITS: CallLimits = CallLimits {
    in_flight: 3,
    waiting: 4,
};
/// Largest frame, in bytes.
const MAX_PAYLOAD: u64 = 1000;
/// The size of a call that is too large, in bytes.
const LARGE: usize = 2000;

/// A step of a line.
#[derive(Debug, Clone, Copy)]
enum Step {
    Admit(Order),
    Write,
    Answer { pick: u8, ok: bool, accepted: bool },
    Stray(u8),
    Abandon(u8),
    Lose,
    Restore(u8),
    Pass(u8),
    Close,
}

impl<'a> Arbitrary<'a> for Step {
    /// Weighted: most steps send and answer calls. A step that ends everything comes once in a few inputs.
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u8::arbitrary(u)? {
            0..=79 => Self::Admit(u.arbitrary()?),
            80..=159 => Self::Write,
            160..=189 => Self::Answer {
                pick: u.arbitrary()?,
                ok: u.arbitrary()?,
                accepted: u.arbitrary()?,
            },
            190..=194 => Self::Stray(u.arbitrary()?),
            195..=199 => Self::Abandon(u.arbitrary()?),
            200..=209 => Self::Lose,
            210..=239 => Self::Restore(u.arbitrary()?),
            240..=254 => Self::Pass(u.arbitrary()?),
            255 => Self::Close,
        })
    }
}

/// One call as its caller wants it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    resend: u8,
    waits: bool,
    twice_answered: bool,
    /// In seconds.
    patience: u64,
    large: bool,
}

impl<'a> Arbitrary<'a> for Order {
    /// Mostly one that waits long enough to be sent again.
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            resend: u.arbitrary()?,
            waits: u.ratio(7, 8)?,
            twice_answered: u.ratio(1, 4)?,
            patience: u64::from(u8::arbitrary(u)?) * 3,
            large: u.ratio(1, 16)?,
        })
    }
}

impl Order {
    const fn resend(self) -> Resend {
        match self.resend % 3 {
            0 => Resend::Always,
            1 => Resend::SameBoot,
            _ => Resend::Never,
        }
    }
}

const fn continuity(number: u8) -> Continuity {
    match number % 3 {
        0 => Continuity::Same,
        1 => Continuity::Restarted,
        _ => Continuity::Unknown,
    }
}

/// The ends that were told, by the caller's number.
type Ends = Rc<RefCell<BTreeMap<usize, End>>>;

struct Slot {
    caller: usize,
    ends: Ends,
    abandoned: Rc<Cell<bool>>,
}

impl ReplySlot for Slot {
    fn is_abandoned(&self) -> bool {
        self.abandoned.get()
    }

    fn reply(self, end: std::result::Result<RawJson, CallError>, _: Option<Generation>) {
        let before = self.ends.borrow_mut().insert(self.caller, end_of(&end));
        assert_eq!(before, None, "call {} ended twice", self.caller);
    }
}

fn end_of(end: &std::result::Result<RawJson, CallError>) -> End {
    match end {
        Ok(_) => End::Ok,
        Err(CallError::Rejected(_)) => End::Rejected,
        Err(CallError::TimedOut(_)) => End::TimedOut,
        Err(CallError::OutcomeUnknown(unknown)) => match unknown.why {
            UnknownReason::LineLost => End::LineLost,
            UnknownReason::GatewayRestarted => End::GatewayRestarted,
            UnknownReason::MaybeRestarted => End::MaybeRestarted,
            UnknownReason::KeyForgotten => End::KeyForgotten,
            UnknownReason::RepeatRefused => End::RepeatRefused,
            _ => End::Closed,
        },
        Err(CallError::NotSent(why)) => match why {
            NotSent::NotReady { .. } => End::NotReady,
            NotSent::WouldWait => End::WouldWait,
            NotSent::TooLarge { .. } => End::TooLarge,
            NotSent::QueueFull { .. } => End::QueueFull,
            _ => End::NeverSent,
        },
        Err(other) => panic!("an end that the model has not: {other}"),
    }
}

/// Each call ends once, with the outcome of the model. A call that may not be repeated is written once. No id is used for two
/// calls. The waiting calls and the calls in flight stay within their bounds. After the line was closed, nothing is left.
pub(super) fn run(data: &[u8]) {
    let mut line = Line::new();
    for step in steps::read::<Step>(data) {
        line.take(step);
        line.compare();
    }
    line.take(Step::Close);
    line.compare();
    assert!(line.calls.is_empty());
    assert_eq!(line.calls.next_deadline(), None);
}

struct Line {
    calls: CallTable<Slot>,
    model: Model,
    ends: Ends,
    abandoned: Vec<Rc<Cell<bool>>>,
    seconds: u64,
    generation: Generation,
}

impl Line {
    fn new() -> Self {
        Self {
            calls: CallTable::new(LIMITS),
            model: Model::new(LIMITS),
            ends: Ends::default(),
            abandoned: Vec::new(),
            seconds: 0,
            generation: Generation::new(0),
        }
    }

    fn now(&self) -> Instant {
        epoch() + Duration::from_secs(self.seconds)
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Admit(order) => self.admit(order),
            Step::Write if self.model.up => self.write(),
            Step::Answer { pick, ok, accepted } if self.model.up => self.answer(pick, ok, accepted),
            Step::Stray(number) => self.stray(number),
            Step::Abandon(pick) => {
                if let Some(flag) = pick_of(&self.abandoned, pick) {
                    flag.set(true);
                }
            }
            Step::Lose => {
                self.calls.lost();
                self.model.lose();
            }
            Step::Restore(number) if !self.model.up => {
                self.generation = self.generation.next();
                self.calls.restored(continuity(number), self.now());
                self.model.restore(continuity(number), self.seconds);
            }
            Step::Pass(seconds) => {
                self.seconds += u64::from(seconds);
                self.calls.expire(self.now());
                self.model.expire(self.seconds);
            }
            Step::Close => {
                self.calls.close();
                self.model.close();
            }
            // A line that is down writes and reads nothing, and one that is up does not come up.
            Step::Write | Step::Answer { .. } | Step::Restore(_) => {}
        }
    }

    fn admit(&mut self, order: Order) {
        let abandoned = Rc::new(Cell::new(false));
        self.abandoned.push(Rc::clone(&abandoned));
        let deadline = self.seconds + order.patience;
        let caller = self.model.admit(order, deadline, Rc::clone(&abandoned));
        let padding = if order.large { LARGE } else { 1 };
        let request = CallRequest {
            method: MethodName::new("chat.send").expect("it has only letters and a dot"),
            params: RawJson::from_value(&"x".repeat(padding)).ok(),
            deadline: epoch() + Duration::from_secs(deadline),
            resend: order.resend(),
            answers: if order.twice_answered {
                AnswerMode::Final
            } else {
                AnswerMode::First
            },
            wait_for_line: order.waits,
            trace: None,
            slot: Slot {
                caller,
                ends: Rc::clone(&self.ends),
                abandoned,
            },
        };
        self.calls.admit(Box::new(request), self.now());
    }

    fn write(&mut self) {
        let wire = Wire {
            generation: self.generation,
            max_payload: MAX_PAYLOAD,
            takes_traceparent: false,
        };
        let mut frame = String::new();
        let written = self.calls.next_frame(self.now(), &wire, &mut frame).then(|| {
            let frame: serde_json::Value = serde_json::from_str(&frame).expect("a frame is JSON");
            let id = frame["id"].as_str().and_then(CallId::parse);
            id.expect("a request has an id of ours").number()
        });
        assert_eq!(written, self.model.write(self.seconds));
    }

    fn answer(&mut self, pick: u8, ok: bool, accepted: bool) {
        let Some(id) = pick_of(&self.model.in_flight_ids(), pick).copied() else {
            return;
        };
        let became = self.hear(id, ok, accepted);
        let stays = self.model.answer(id, ok, accepted);
        assert_eq!(
            became,
            if stays {
                AnswerEffect::Accepted
            } else {
                AnswerEffect::Ended
            }
        );
    }

    fn stray(&mut self, number: u8) {
        let id = u64::from(number);
        if !self.model.in_flight_ids().contains(&id) {
            assert_eq!(self.hear(id, true, false), AnswerEffect::Stray);
        }
    }

    fn hear(&mut self, id: u64, ok: bool, accepted: bool) -> AnswerEffect {
        let text = match (ok, accepted) {
            (true, true) => format!(r#"{{"type":"res","id":"{id}","ok":true,"payload":{{"status":"accepted"}}}}"#),
            (true, false) => format!(r#"{{"type":"res","id":"{id}","ok":true,"payload":{{"status":"ok"}}}}"#),
            (false, _) => format!(r#"{{"type":"res","id":"{id}","ok":false,"error":{{"code":"UNAVAILABLE"}}}}"#),
        };
        let text = ByteString::from(text);
        let Ok(Frame::Response(response)) = Frame::decode(&text) else {
            panic!("{text}")
        };
        self.calls.answer(CallId::new(id), response.outcome, &text)
    }

    fn compare(&self) {
        assert_eq!(*self.ends.borrow(), self.model.ends);
        assert_eq!(self.calls.waiting(), self.model.waiting());
        assert_eq!(self.calls.in_flight(), self.model.in_flight_ids().len());
        assert!(self.calls.in_flight() <= LIMITS.in_flight);
        // Calls that a loss returns to the queue are not counted against its limit.
        assert!(self.calls.waiting() <= LIMITS.waiting + LIMITS.in_flight);
        let earliest = self
            .model
            .earliest()
            .map(|seconds| epoch() + Duration::from_secs(seconds));
        match (self.calls.next_deadline(), earliest) {
            (Some(told), Some(earliest)) => assert!(told <= earliest, "a deadline would be missed"),
            (None, Some(_)) => panic!("a deadline is not told"),
            (_, None) => {}
        }
        self.compare_counters();
    }

    fn compare_counters(&self) {
        let counters = self.calls.counters();
        let count = |wanted: &[End]| self.model.ends.values().filter(|end| wanted.contains(end)).count() as u64;
        assert_eq!(counters.ok, count(&[End::Ok]));
        assert_eq!(counters.rejected, count(&[End::Rejected]));
        assert_eq!(counters.timed_out, count(&[End::TimedOut]));
        assert_eq!(counters.sent, self.model.writes);
        assert_eq!(counters.abandoned, self.model.forgotten);
        assert_eq!(counters.not_sent, count(&End::NOT_SENT));
        assert_eq!(counters.unknown, count(&End::UNKNOWN));
    }
}

fn pick_of<T>(of: &[T], pick: u8) -> Option<&T> {
    of.get(usize::from(pick) % of.len().max(1))
}
