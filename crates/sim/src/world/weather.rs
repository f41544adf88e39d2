//! The faults of a gateway and of its line, and their times.

use std::fmt;
use std::time::Duration;

use windlass_testkit::RestartKind;
use windlass_testkit::chaos::{Fault, FaultKind, FrameFault};

use crate::dice::Dice;

/// A process without a boot id that died a moment after its start can't be told from the one before: README, "Sessions and
/// events". So much is between two deaths there.
pub(crate) const LIFE: Duration = Duration::from_secs(120);

/// A fault of a site.
#[derive(Clone, Debug)]
pub(crate) struct Blow {
    /// The time since the start of the faults.
    pub(crate) at: Duration,
    pub(crate) deed: Deed,
}

/// The kind of a fault.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// By the proxy between the line and the gateway.
    Fault(Fault),
    Restart(RestartKind),
    /// The process dies, and is there again later.
    Kill,
    Stop,
    Start,
    Drain(bool),
    Starting(Duration),
    Unavailable(Duration),
    Deaf(bool),
    Silent(bool),
    /// The next event uses up its number and does not come.
    Withhold,
    /// The answer to the next request of a method is wrong.
    Lie(Lie, &'static str),
    /// The connection's own task panics at its next write.
    Panic,
    /// The token is another one for a while.
    Lock,
    Unlock,
    /// The whole process is stopped: time jumps, and all timers are late.
    Jump(Duration),
    /// The line is told to try now.
    ReconnectNow,
    /// The line is opened anew with the same settings.
    Update,
}

/// A wrong answer of a gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lie {
    NeverAnswer,
    Late(Duration),
    CutBeforeAnswer,
    CutBeforeExecution,
    Fail,
    UnknownId,
    InvalidId,
    Twice,
    NoJson,
    CloseAfter(u16),
}

/// Information that the wire hides. A later variant hides more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hides {
    Nothing,
    /// A lost event, with a protocol whose events have no numbers of their own (protocol 3).
    LostEvents,
    /// A changed text that is still JSON.
    Contents,
}

/// The properties that a wire does not have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) hides: Hides,
    /// Frames may come twice.
    pub(crate) repeats: bool,
    /// Frames may come in the wrong order.
    pub(crate) reorders: bool,
    /// A request may have the id of another one: then its answer is taken for the other one's.
    pub(crate) mixes: bool,
}

impl Deed {
    /// Whether it does this to a frame.
    pub(crate) fn tampers(&self, fault: &FrameFault) -> bool {
        matches!(self, Self::Fault(Fault::Arm(rule)) if rule.fault == *fault)
    }

    pub(crate) fn hides(&self) -> Hides {
        match self {
            Self::Withhold => Hides::LostEvents,
            Self::Fault(Fault::Arm(rule)) => match rule.fault {
                FrameFault::Corrupt => Hides::Contents,
                FrameFault::Lose => Hides::LostEvents,
                _ => Hides::Nothing,
            },
            _ => Hides::Nothing,
        }
    }

    fn is_death(&self) -> bool {
        matches!(self, Self::Restart(_) | Self::Kill | Self::Stop)
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.deed {
            Deed::Fault(fault) => write!(f, "{fault}"),
            deed => write!(f, "{deed:?}"),
        }
    }
}

/// The severity of the faults of a site.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Temper {
    /// Faults of networks and processes.
    Network,
    /// These, and errors that no gateway should make.
    Liar,
    /// These, and changed texts.
    Forger,
}

/// The faults of a site, in the order of time.
pub(crate) fn storm(dice: &mut Dice, boot_id: bool, span: Duration, big: bool) -> Vec<Blow> {
    let temper = match dice.count(0..10) {
        0..6 => Temper::Network,
        6..9 => Temper::Liar,
        _ => Temper::Forger,
    };
    let count = if big { dice.count(10..40) } else { dice.count(0..8) };
    let mean = span / u32::try_from(count.max(1)).unwrap_or(1);
    let (mut at, mut death) = (Duration::ZERO, None);
    let mut blows = Vec::new();
    for _ in 0..count {
        at += dice.around(mean);
        let (mut deed, lasts) = draw(dice, temper, mean);
        if deed.is_death() && !boot_id {
            if death.is_some_and(|death| at < death + LIFE) {
                deed = Deed::Fault(Fault::Cut);
            } else {
                death = Some(at + lasts);
            }
        }
        let undo = undo(&deed);
        blows.push(Blow { at, deed });
        blows.extend(undo.map(|deed| Blow { at: at + lasts, deed }));
    }
    blows.sort_by_key(|blow| blow.at);
    blows
}

/// A gateway, or a proxy in front of it, that cuts its clients again and again, about a second after it accepted them.
pub(crate) fn cuts(dice: &mut Dice, span: Duration) -> Vec<Blow> {
    let (begin, every) = (dice.around(span / 2), dice.millis(300..2_000));
    (0..dice.count(5..40))
        .map(|number| Blow {
            at: begin + every * u32::try_from(number).unwrap_or(0),
            deed: Deed::Fault(Fault::Cut),
        })
        .collect()
}

/// A process that is stopped and goes on.
pub(crate) fn stops(dice: &mut Dice, span: Duration) -> Vec<Blow> {
    (0..dice.count(1..3))
        .map(|_| Blow {
            at: dice.around(span / 2),
            deed: Deed::Jump(dice.millis(300..150_000)),
        })
        .collect()
}

/// A deed, and how long it lasts if it is one that does.
fn draw(dice: &mut Dice, temper: Temper, mean: Duration) -> (Deed, Duration) {
    let lasts = dice.around(mean);
    let deed = match dice.count(0..20) {
        0..8 => fault(dice, temper),
        8 => Deed::Restart(RestartKind::Clean),
        9 => Deed::Restart(dice.pick(&[RestartKind::Crash, RestartKind::KeepMemory])),
        10 => Deed::Kill,
        11 => Deed::Stop,
        12 => Deed::Drain(true),
        13 => dice.pick(&[Deed::Starting, Deed::Unavailable])(lasts),
        14 => dice.pick(&[Deed::Deaf, Deed::Silent])(true),
        15 => dice.pick(&[|| Deed::ReconnectNow, || Deed::Update])(),
        16 => Deed::Panic,
        17 if dice.one_in(2) => Deed::Lock,
        _ if temper == Temper::Network => Deed::Lie(
            dice.pick(&[Lie::CutBeforeAnswer, Lie::CutBeforeExecution, Lie::NeverAnswer]),
            method(dice),
        ),
        18 if dice.one_in(3) => Deed::Withhold,
        _ => Deed::Lie(lie(dice), method(dice)),
    };
    (deed, lasts)
}

fn undo(deed: &Deed) -> Option<Deed> {
    Some(match deed {
        Deed::Fault(fault) => Deed::Fault(fault.undo()?),
        Deed::Kill | Deed::Stop => Deed::Start,
        Deed::Drain(_) => Deed::Drain(false),
        Deed::Deaf(_) => Deed::Deaf(false),
        Deed::Silent(_) => Deed::Silent(false),
        Deed::Lock => Deed::Unlock,
        _ => return None,
    })
}

fn fault(dice: &mut Dice, temper: Temper) -> Deed {
    const NOBODY_DOES: [FaultKind; 8] = [
        FaultKind::Lose,
        FaultKind::Truncate,
        FaultKind::Duplicate,
        FaultKind::Reorder,
        FaultKind::Garbage,
        FaultKind::WrongId,
        FaultKind::RepeatId,
        FaultKind::CloseAtFrame,
    ];
    const AT_THE_DOOR: [FaultKind; 3] = [FaultKind::AnswerUpgrade, FaultKind::FailTls, FaultKind::ClockSkew];
    let kind = match temper {
        Temper::Network if dice.one_in(6) => dice.pick(&AT_THE_DOOR),
        Temper::Network => dice.pick(&FaultKind::NETWORK),
        Temper::Forger if dice.one_in(2) => FaultKind::Corrupt,
        // Dear, and met seldom.
        _ if dice.one_in(60) => {
            let dear = [
                FrameFault::Oversize(1_000_000),
                FrameFault::Pad(1_000_000),
                FrameFault::Pings(1000),
            ];
            return Deed::Fault(Fault::Arm(dice.pick(&dear).next()));
        }
        _ if dice.one_in(3) => dice.pick(&FaultKind::NETWORK),
        _ => dice.pick(&NOBODY_DOES),
    };
    Deed::Fault(kind.draw(dice.rng()))
}

fn lie(dice: &mut Dice) -> Lie {
    match dice.count(0..10) {
        0 => Lie::NeverAnswer,
        1 => Lie::Late(dice.millis(1..20_000)),
        2 => Lie::CutBeforeAnswer,
        3 => Lie::CutBeforeExecution,
        4 => Lie::Fail,
        5 => Lie::UnknownId,
        6 => Lie::InvalidId,
        7 => Lie::Twice,
        8 => Lie::NoJson,
        _ => Lie::CloseAfter(dice.pick(&[1000, 1011, 1012, 1013, 4001])),
    }
}

fn method(dice: &mut Dice) -> &'static str {
    dice.pick(&[
        "health",
        "chat.send",
        "chat.send",
        "chat.history",
        "agent.wait",
        "agents.create",
        "agents.list",
        "sessions.list",
        "sessions.subscribe",
        "connect",
    ])
}
