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
pub(crate) struct ScheduledFault {
    /// The time since the start of the faults.
    pub(crate) at: Duration,
    pub(crate) action: FaultAction,
}

/// The kind of a fault.
#[derive(Clone, Debug)]
pub(crate) enum FaultAction {
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
    WrongAnswer(WrongAnswer, &'static str),
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
pub(crate) enum WrongAnswer {
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
pub(crate) enum HiddenData {
    Nothing,
    /// A lost event, with a protocol whose events have no numbers of their own (protocol 3).
    LostEvents,
    /// A changed text that is still JSON.
    Contents,
}

/// The properties that a wire does not have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireProfile {
    pub(crate) hides: HiddenData,
    /// Frames may come twice.
    pub(crate) repeats: bool,
    /// Frames may come in the wrong order.
    pub(crate) reorders: bool,
    /// A request may have the id of another one: then its answer is taken for the other one's.
    pub(crate) mixes: bool,
}

impl FaultAction {
    /// Whether it does this to a frame.
    pub(crate) fn tampers(&self, fault: &FrameFault) -> bool {
        matches!(self, Self::Fault(Fault::Arm(rule)) if rule.fault == *fault)
    }

    pub(crate) fn hides(&self) -> HiddenData {
        match self {
            Self::Withhold => HiddenData::LostEvents,
            Self::Fault(Fault::Arm(rule)) => match rule.fault {
                FrameFault::Corrupt => HiddenData::Contents,
                FrameFault::Lose => HiddenData::LostEvents,
                _ => HiddenData::Nothing,
            },
            _ => HiddenData::Nothing,
        }
    }

    fn is_death(&self) -> bool {
        matches!(self, Self::Restart(_) | Self::Kill | Self::Stop)
    }
}

impl fmt::Display for ScheduledFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            FaultAction::Fault(fault) => write!(f, "{fault}"),
            action => write!(f, "{action:?}"),
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
pub(crate) fn fault_schedule(dice: &mut Dice, boot_id: bool, span: Duration, big: bool) -> Vec<ScheduledFault> {
    let temper = match dice.count(0..10) {
        0..6 => Temper::Network,
        6..9 => Temper::Liar,
        _ => Temper::Forger,
    };
    let count = if big { dice.count(10..40) } else { dice.count(0..8) };
    let mean = span / u32::try_from(count.max(1)).unwrap_or(1);
    let (mut at, mut death) = (Duration::ZERO, None);
    let mut scheduled_faults = Vec::new();
    for _ in 0..count {
        at += dice.around(mean);
        let (mut action, lasts) = draw(dice, temper, mean);
        if action.is_death() && !boot_id {
            if death.is_some_and(|death| at < death + LIFE) {
                action = FaultAction::Fault(Fault::Cut);
            } else {
                death = Some(at + lasts);
            }
        }
        let undo = undo(&action);
        scheduled_faults.push(ScheduledFault { at, action });
        scheduled_faults.extend(undo.map(|action| ScheduledFault { at: at + lasts, action }));
    }
    scheduled_faults.sort_by_key(|scheduled| scheduled.at);
    scheduled_faults
}

/// A gateway, or a proxy in front of it, that cuts its clients again and again, about a second after it accepted them.
pub(crate) fn cuts(dice: &mut Dice, span: Duration) -> Vec<ScheduledFault> {
    let (begin, every) = (dice.around(span / 2), dice.millis(300..2_000));
    (0..dice.count(5..40))
        .map(|number| ScheduledFault {
            at: begin + every * u32::try_from(number).unwrap_or(0),
            action: FaultAction::Fault(Fault::Cut),
        })
        .collect()
}

/// A process that is stopped and goes on.
pub(crate) fn stops(dice: &mut Dice, span: Duration) -> Vec<ScheduledFault> {
    (0..dice.count(1..3))
        .map(|_| ScheduledFault {
            at: dice.around(span / 2),
            action: FaultAction::Jump(dice.millis(300..150_000)),
        })
        .collect()
}

/// A deed, and how long it lasts if it is one that does.
fn draw(dice: &mut Dice, temper: Temper, mean: Duration) -> (FaultAction, Duration) {
    let lasts = dice.around(mean);
    let action = match dice.count(0..20) {
        0..8 => fault(dice, temper),
        8 => FaultAction::Restart(RestartKind::Clean),
        9 => FaultAction::Restart(dice.pick(&[RestartKind::Crash, RestartKind::KeepMemory])),
        10 => FaultAction::Kill,
        11 => FaultAction::Stop,
        12 => FaultAction::Drain(true),
        13 => dice.pick(&[FaultAction::Starting, FaultAction::Unavailable])(lasts),
        14 => dice.pick(&[FaultAction::Deaf, FaultAction::Silent])(true),
        15 => dice.pick(&[|| FaultAction::ReconnectNow, || FaultAction::Update])(),
        16 => FaultAction::Panic,
        17 if dice.one_in(2) => FaultAction::Lock,
        _ if temper == Temper::Network => FaultAction::WrongAnswer(
            dice.pick(&[
                WrongAnswer::CutBeforeAnswer,
                WrongAnswer::CutBeforeExecution,
                WrongAnswer::NeverAnswer,
            ]),
            method(dice),
        ),
        18 if dice.one_in(3) => FaultAction::Withhold,
        _ => FaultAction::WrongAnswer(lie(dice), method(dice)),
    };
    (action, lasts)
}

fn undo(action: &FaultAction) -> Option<FaultAction> {
    Some(match action {
        FaultAction::Fault(fault) => FaultAction::Fault(fault.undo()?),
        FaultAction::Kill | FaultAction::Stop => FaultAction::Start,
        FaultAction::Drain(_) => FaultAction::Drain(false),
        FaultAction::Deaf(_) => FaultAction::Deaf(false),
        FaultAction::Silent(_) => FaultAction::Silent(false),
        FaultAction::Lock => FaultAction::Unlock,
        _ => return None,
    })
}

fn fault(dice: &mut Dice, temper: Temper) -> FaultAction {
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
            return FaultAction::Fault(Fault::Arm(dice.pick(&dear).next()));
        }
        _ if dice.one_in(3) => dice.pick(&FaultKind::NETWORK),
        _ => dice.pick(&NOBODY_DOES),
    };
    FaultAction::Fault(kind.draw(dice.rng()))
}

fn lie(dice: &mut Dice) -> WrongAnswer {
    match dice.count(0..10) {
        0 => WrongAnswer::NeverAnswer,
        1 => WrongAnswer::Late(dice.millis(1..20_000)),
        2 => WrongAnswer::CutBeforeAnswer,
        3 => WrongAnswer::CutBeforeExecution,
        4 => WrongAnswer::Fail,
        5 => WrongAnswer::UnknownId,
        6 => WrongAnswer::InvalidId,
        7 => WrongAnswer::Twice,
        8 => WrongAnswer::NoJson,
        _ => WrongAnswer::CloseAfter(dice.pick(&[1000, 1011, 1012, 1013, 4001])),
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
