//! The faults of the matrix.

use std::num::NonZeroUsize;
use std::time::Duration;

use windlass_testkit::chaos::{ChaosProxy, Direction, Door, Fault, FrameFault, Which};
use windlass_testkit::{RestartKind, SimGateway};

/// Longer than a line waits for a sign of life (60 s).
const LONG: Duration = Duration::from_secs(90);
/// Long enough for several attempts.
const SHORT: Duration = Duration::from_secs(20);

/// Something is under way by then.
const IN_THE_MIDDLE: Duration = Duration::from_millis(150);

/// Something that happens to a line.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    deeds: Vec<Deed>,
    /// How long after the load began.
    pub(super) after: Duration,
    /// When calm is restored.
    pub(super) lasts: Duration,
    /// What nobody can notice, because the wire does not show it.
    pub(super) hides: Hides,
}

#[derive(Clone, Debug)]
enum Deed {
    Apply(Fault),
    Restart(RestartKind),
}

/// What the wire does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hides {
    Nothing,
    /// That an event is missing, where events have no numbers of their own (generation 3).
    LostEvents,
    /// That a text is another one: it is JSON still.
    Contents,
}

impl Case {
    fn new(name: impl Into<String>, faults: impl IntoIterator<Item = Fault>) -> Self {
        Self {
            name: name.into(),
            deeds: faults.into_iter().map(Deed::Apply).collect(),
            after: IN_THE_MIDDLE,
            lasts: SHORT,
            hides: Hides::Nothing,
        }
    }

    /// Before the load, whose first request it waits for.
    const fn at_once(mut self) -> Self {
        self.after = Duration::ZERO;
        self
    }

    const fn lasting(mut self, time: Duration) -> Self {
        self.lasts = time;
        self
    }

    const fn hiding(mut self, hides: Hides) -> Self {
        self.hides = hides;
        self
    }

    /// Whether it leaves a connection that never ends.
    pub(super) fn freezes(&self) -> bool {
        self.deeds
            .iter()
            .any(|deed| matches!(deed, Deed::Apply(Fault::HalfOpen)))
    }

    /// Does it.
    pub(super) fn happen(&self, proxy: &ChaosProxy, sim: &SimGateway) {
        for deed in &self.deeds {
            match deed {
                Deed::Apply(fault) => proxy.apply(fault),
                Deed::Restart(kind) => sim.restart(*kind),
            }
        }
    }

    pub(super) fn all() -> Vec<Self> {
        let mut all = connections();
        all.extend(gateway());
        all.extend(lanes());
        all.extend(doors());
        for direction in [Direction::ToClient, Direction::ToGateway] {
            all.extend(frames(direction));
        }
        all.extend(hostile());
        all
    }
}

fn connections() -> Vec<Case> {
    let mut cases = vec![
        Case::new("cut", [Fault::Cut]),
        Case::new("reset", [Fault::Reset]),
        Case::new("half-open", [Fault::HalfOpen]).lasting(LONG),
    ];
    for code in [1000, 1001, 1006, 1008, 1011, 1012, 1013, 4001, 4999] {
        cases.push(Case::new(format!("close {code}"), [Fault::Close(code)]));
    }
    cases
}

fn gateway() -> Vec<Case> {
    [
        ("gateway restarts", RestartKind::Clean),
        ("gateway crashes", RestartKind::Crash),
    ]
    .map(|(name, kind)| Case {
        deeds: vec![Deed::Restart(kind)],
        ..Case::new(name, [])
    })
    .into()
}

fn lanes() -> Vec<Case> {
    let (to_client, to_gateway) = (Direction::ToClient, Direction::ToGateway);
    let latency = Fault::Latency {
        delay: Duration::from_millis(400),
        jitter: Duration::from_millis(400),
    };
    vec![
        Case::new("stall to the client", [Fault::Stall(to_client)]).lasting(LONG),
        Case::new("stall to the gateway", [Fault::Stall(to_gateway)]).lasting(LONG),
        Case::new("latency and jitter", [latency]),
        Case::new("bandwidth to the client", [Fault::Bandwidth(to_client, Some(20_000))]),
        Case::new("bandwidth to the gateway", [Fault::Bandwidth(to_gateway, Some(5_000))]),
        Case::new(
            "slow reader of the gateway",
            [Fault::SlowReader(to_client, Some(20_000))],
        ),
        Case::new(
            "slow reader of the client",
            [Fault::SlowReader(to_gateway, Some(5_000))],
        ),
        Case::new("slices", [Fault::Slice(NonZeroUsize::new(61))]),
    ]
}

/// A door matters to who has to come in again.
fn doors() -> Vec<Case> {
    let doors = [
        ("refused connects", Door::Refuse),
        ("hung connects", Door::Hang),
        ("hung upgrades", Door::HangUpgrade),
        ("upgrades answered 502", Door::AnswerUpgrade(502)),
        ("upgrades answered 401", Door::AnswerUpgrade(401)),
        ("upgrades answered 404", Door::AnswerUpgrade(404)),
        ("TLS failure", Door::FailTls),
    ];
    let mut cases: Vec<_> = doors
        .map(|(name, door)| Case::new(name, [Fault::Door(door), Fault::Cut]))
        .into();
    let skew = [Fault::SkewClock(86_400_000), Fault::Cut];
    cases.push(Case::new("clock skew of a day", skew));
    cases
}

/// To the client, an answer, an event and an event of a run are hit, each the first or second after the fault; to the gateway, a
/// request.
fn frames(direction: Direction) -> Vec<Case> {
    let faults = [
        FrameFault::Lose,
        FrameFault::Truncate,
        FrameFault::Tear,
        FrameFault::Duplicate,
        FrameFault::Reorder,
        FrameFault::Corrupt,
        FrameFault::Garbage,
        FrameFault::WrongId,
        FrameFault::RepeatId,
        FrameFault::Oversize(1_000_000),
        FrameFault::Oversize(60_000_000),
        FrameFault::Close(1011),
    ];
    let which = match direction {
        Direction::ToClient => vec![
            (Which::Responses, 1),
            (Which::Named("pulse".into()), 2),
            (Which::Named("chat".into()), 2),
        ],
        Direction::ToGateway => vec![(Which::Requests, 1)],
    };
    let case = |fault: FrameFault| {
        let rules = which
            .iter()
            .map(|(which, nth)| Fault::Arm(fault.next().towards(direction).of(which.clone()).nth(*nth)));
        let megabytes = match fault {
            FrameFault::Oversize(bytes) => format!(" {} MB", bytes / 1_000_000),
            _ => String::new(),
        };
        let name = format!("{}{megabytes} {direction}", fault.name());
        let hides = match fault {
            FrameFault::Corrupt => Hides::Contents,
            FrameFault::Lose => Hides::LostEvents,
            _ => Hides::Nothing,
        };
        let case = Case::new(name, rules).hiding(hides);
        match direction {
            Direction::ToClient => case,
            Direction::ToGateway => case.at_once(),
        }
    };
    faults.map(case).into()
}

/// What no gateway does, and what answers in its place may.
fn hostile() -> Vec<Case> {
    let to_client = |fault: FrameFault| Fault::Arm(fault.next().permille(1000));
    vec![
        Case::new(
            "pings without reading",
            [Fault::Stall(Direction::ToGateway), to_client(FrameFault::Pings(1000))],
        )
        .lasting(LONG),
        Case::new("padding of 100 kB in all frames", [to_client(FrameFault::Pad(100_000))]),
    ]
}
