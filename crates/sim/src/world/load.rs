//! The users of a line, and their work.

use std::time::Duration;

use windlass::sessions::ResendAfterLoss;
use windlass_testkit::NO_REPLY;

use crate::dice::Dice;

/// Stands in every text that is said, so that one which was logged is found.
pub(crate) const HUSH: &str = "hush";

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct PlannedCall {
    /// How long after the one before.
    pub(crate) pause: Duration,
    pub(crate) what: CallKind,
    pub(crate) deadline: Duration,
    /// The caller loses patience.
    pub(crate) cancel: Option<Duration>,
    /// It is not to wait for a line that is down.
    pub(crate) fail_fast: bool,
}

/// The request of a call. Each text and each name is used once in the run of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// A read, by its method.
    Read(&'static str),
    /// `chat.send`, in a session of its own.
    Say { session: String, text: String },
    /// `agents.create`: the agent's id.
    Create(String),
    /// `sessions.patch`: the session's key.
    Label(String),
}

/// A message that is followed to its end.
#[derive(Clone, Debug)]
pub(crate) struct PlannedMessage {
    pub(crate) pause: Duration,
    pub(crate) session: String,
    /// How the session is named: in another spelling of its key, now and then.
    pub(crate) spelled: String,
    pub(crate) text: String,
    pub(crate) words: MessageText,
    /// The policy if the gateway lost the message.
    pub(crate) resend: ResendAfterLoss,
}

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageText {
    /// For the agent, which answers.
    Say,
    /// For the agent, which has nothing to say to it.
    Quiet,
    /// A command of the gateway's own.
    Stop,
}

/// Something that is done to a session in which others speak.
#[derive(Clone, Debug)]
pub(crate) struct OperatorStep {
    pub(crate) pause: Duration,
    pub(crate) session: String,
    pub(crate) action: OperatorAction,
}

/// The operation on the session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OperatorAction {
    Abort,
    Reset,
    Delete,
}

/// A subscriber.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    /// The capacity of its queue.
    pub(crate) backlog: usize,
    /// How long it takes over each item.
    pub(crate) takes: Duration,
}

impl Reader {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        if dice.one_in(4) {
            Self {
                backlog: dice.count(1..20),
                takes: dice.millis(1..500),
            }
        } else {
            Self {
                backlog: 100_000,
                takes: Duration::ZERO,
            }
        }
    }
}

/// The calls of one caller, one after the other.
pub(crate) fn planned_calls(dice: &mut Dice, caller: usize, span: Duration) -> Vec<PlannedCall> {
    let count = dice.count(1..7);
    let mean = span / u32::try_from(count).unwrap_or(1);
    (0..count)
        .map(|number| PlannedCall {
            pause: dice.around(mean),
            what: what(dice, &format!("{caller}-{number}")),
            deadline: dice.pick(&[500, 3_000, 10_000, 30_000, 90_000].map(Duration::from_millis)),
            cancel: dice.one_in(10).then(|| dice.millis(0..3_000)),
            fail_fast: dice.one_in(10),
        })
        .collect()
}

/// Callers with one call each, all at the same moment: more than a small table holds.
pub(crate) fn crowd(dice: &mut Dice, span: Duration) -> Vec<Vec<PlannedCall>> {
    /// Names that no other caller has.
    const FIRST: usize = 100;
    let (pause, count) = (dice.around(span / 2), dice.count(5..40));
    let one = |caller: usize, dice: &mut Dice| {
        let cancel = dice.one_in(3).then(|| dice.millis(0..2_000));
        let mut deadline = dice.pick(&[1, 300, 1_000, 5_000, 30_000].map(Duration::from_millis));
        // The end of such a call is its caller's.
        if cancel.is_some() && dice.one_in(2) {
            deadline = Duration::MAX;
        }
        PlannedCall {
            pause,
            what: what(dice, &format!("{}-0", FIRST + caller)),
            deadline,
            cancel,
            fail_fast: false,
        }
    };
    (0..count).map(|caller| vec![one(caller, dice)]).collect()
}

fn what(dice: &mut Dice, name: &str) -> CallKind {
    match dice.count(0..10) {
        0 => CallKind::Read("agents.list"),
        1 => CallKind::Read("sessions.list"),
        2..4 => CallKind::Read("health"),
        4..7 => CallKind::Say {
            session: format!("agent:main:call-{name}"),
            text: format!("{HUSH} call {name}"),
        },
        7..9 => CallKind::Create(format!("hand-{name}")),
        _ => CallKind::Label(format!("agent:main:label-{name}")),
    }
}

/// The messages of one sender in a session. Some texts are sent again, as people do.
pub(crate) fn speeches(dice: &mut Dice, sender: usize, span: Duration) -> Vec<PlannedMessage> {
    let count = dice.count(1..4);
    let mean = span / u32::try_from(count).unwrap_or(1);
    // Two speakers may share a session.
    let session = format!("agent:main:talk-{}", if dice.one_in(4) { 0 } else { sender });
    (0..count)
        .map(|turn| {
            let words = match dice.count(0..12) {
                0 => MessageText::Stop,
                1 => MessageText::Quiet,
                _ => MessageText::Say,
            };
            PlannedMessage {
                pause: dice.around(mean),
                spelled: spelled(dice, &session),
                session: session.clone(),
                resend: match dice.count(0..10) {
                    0..2 => ResendAfterLoss::Never,
                    2 => ResendAfterLoss::Always,
                    _ => ResendAfterLoss::default(),
                },
                text: match words {
                    MessageText::Stop => dice.pick(&["stop", "/stop", " Abort"]).to_owned(),
                    MessageText::Quiet => format!("{HUSH} {NO_REPLY} {sender}-{turn}"),
                    MessageText::Say if dice.one_in(5) => format!("{HUSH} go on"),
                    // Cut into pieces, its answer has half an emoji at the end of some.
                    MessageText::Say => format!("{HUSH} speech {sender}-{turn} 😀😀😀"),
                },
                words,
            }
        })
        .collect()
}

/// Another spelling of a key of the main agent's: gateways take them all for one session.
fn spelled(dice: &mut Dice, session: &str) -> String {
    let rest = session.trim_start_matches("agent:main:");
    match dice.count(0..8) {
        0 => session.to_uppercase().replacen("AGENT", "agent", 1),
        1 => rest.to_owned(),
        2 => rest.replacen('t', "T", 1),
        _ => session.to_owned(),
    }
}

/// The operations on the sessions of the first senders.
pub(crate) fn operator_steps(dice: &mut Dice, span: Duration) -> Vec<OperatorStep> {
    let count = dice.count(1..4);
    let mean = span / u32::try_from(count).unwrap_or(1);
    (0..count)
        .map(|_| OperatorStep {
            pause: dice.around(mean),
            session: format!("agent:main:talk-{}", dice.count(0..2)),
            action: dice.pick(&[OperatorAction::Abort, OperatorAction::Reset, OperatorAction::Delete]),
        })
        .collect()
}
