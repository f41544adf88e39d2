//! Steps that a gateway, a line or time may make with a message in flight.

mod give;

use arbitrary::{Arbitrary, Result, Unstructured};
use windlass_protocol::connection::Continuity;

use super::life;

pub(super) const KEY: &str = "key-1";
pub(super) const SESSION: &str = "agent:main:main";
/// The whole answer. Most increments are a part of it.
const ANSWER: &str = "I look at it. Found: 日本, 🦞 and é; that is all.";

/// How the message begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub(super) protocol: u32,
    pub(super) sent_before: bool,
    pub(super) accepted: bool,
    pub(super) life: Continuity,
    /// In seconds.
    pub(super) ago: u64,
    pub(super) resend: usize,
    pub(super) since_ms: Option<u64>,
}

impl Setting {
    pub(super) const fn of(bytes: [u8; 2]) -> Self {
        let [bits, number] = bytes;
        Self {
            protocol: 3 + (bits & 1) as u32,
            // One in four.
            sent_before: bits & 6 == 6,
            accepted: bits & 8 != 0,
            life: life(bits >> 4),
            ago: number as u64 * 2,
            resend: (number % 3) as usize,
            since_ms: if bits & 128 == 0 { None } else { Some(1_000) },
        }
    }
}

/// Few runs, so that steps meet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Run {
    Ours,
    Other,
    Third,
}

impl<'a> Arbitrary<'a> for Run {
    /// Ours is the likeliest.
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u8::arbitrary(u)? {
            0..=159 => Self::Ours,
            160..=219 => Self::Other,
            220.. => Self::Third,
        })
    }
}

impl Run {
    const fn id(self) -> &'static str {
        match self {
            Self::Ours => KEY,
            Self::Other => "run-2",
            Self::Third => "run-3",
        }
    }
}

/// A part of the answer, or something else.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) struct Said(u8);

impl Said {
    fn text(self) -> String {
        let characters = ANSWER.chars().count();
        match usize::from(self.0) {
            part if part <= characters => ANSWER.chars().take(part).collect(),
            200..=210 => "Something else.".to_owned(),
            211..=215 => format!("{ANSWER}\u{fffd}"),
            216..=220 => "⚠️ Agent failed before reply: no model".to_owned(),
            221..=224 => " \n".to_owned(),
            _ => ANSWER.to_owned(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    Delta,
    Final,
    Aborted,
    Error,
    Status,
    New,
}

impl<'a> Arbitrary<'a> for State {
    /// Events that do not end a run are the most likely.
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u8::arbitrary(u)? {
            0..=199 => Self::Delta,
            200..=224 => Self::Final,
            225..=231 => Self::Aborted,
            232..=239 => Self::Error,
            240..=247 => Self::Status,
            248.. => Self::New,
        })
    }
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::Final => "final",
            Self::Aborted => "aborted",
            Self::Error => "error",
            Self::Status => "status",
            Self::New => "new",
        }
    }
}

#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) enum Phase {
    Start,
    End,
    Error,
    Aborted,
    Model,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) enum Status {
    Started,
    InFlight,
    Ok,
    Error,
    Timeout,
    New,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::InFlight => "in_flight",
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::New => "new",
        }
    }
}

#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) enum Row {
    /// Our message, with its key or without one.
    Ours {
        keyed: bool,
        steered: Option<Run>,
        at: u8,
    },
    /// A message of another user.
    User {
        run: Run,
        at: u8,
    },
    Assistant {
        said: Said,
        at: u8,
    },
    Failed {
        broken_session: bool,
    },
    Aborted {
        said: Said,
    },
    /// The gateway goes on after a restart.
    Notice {
        run: Run,
    },
    Tool,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) enum Trouble {
    Busy,
    Refused,
    Unknown,
    Late,
    NotReady,
    Closed,
    TooLarge,
}

impl Trouble {
    /// The attempt was not made, or was refused for now.
    pub(super) const fn passes(self) -> bool {
        matches!(self, Self::Busy | Self::NotReady | Self::Closed | Self::TooLarge)
    }
}

/// One thing that happens.
#[derive(Debug)]
pub(super) enum Step {
    Chat(Chat),
    Agent(Agent),
    Message(Row),
    Changed(Changed),
    Sent { status: Status, run: Run },
    SendFails(Trouble),
    History(History),
    HistoryFails(Trouble),
    Waited(Waited),
    WaitFails(Trouble),
    Pass { tenths: u16 },
    Gap,
    Down,
    Up(u8),
    Replaced,
    Foreign(Run),
    Rare(Rare),
    Closed,
}

/// Outcomes of a message with certain texts, models and gateways.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) enum Rare {
    /// It was a command.
    Command { aborted: bool, run: Run },
    /// It was answered in a way that is not understood.
    SentOddly,
    /// Something of a run, in a session of another spelling.
    Elsewhere(Chat),
    /// A run ends with nothing said.
    Silent(Run),
    /// A run fails because nothing was said, twice.
    SilentTwice(Run),
}

impl<'a> Arbitrary<'a> for Step {
    /// Weighted: most steps are events and answers. A step that ends everything comes once in a few inputs.
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u8::arbitrary(u)? {
            0..=89 => Self::Chat(u.arbitrary()?),
            90..=119 => Self::Agent(u.arbitrary()?),
            120..=129 => Self::Message(u.arbitrary()?),
            130..=139 => Self::Changed(u.arbitrary()?),
            140..=154 => Self::Sent {
                status: u.arbitrary()?,
                run: u.arbitrary()?,
            },
            155..=159 => Self::SendFails(u.arbitrary()?),
            160..=184 => Self::History(u.arbitrary()?),
            185..=189 => Self::HistoryFails(u.arbitrary()?),
            190..=204 => Self::Waited(u.arbitrary()?),
            205..=209 => Self::WaitFails(u.arbitrary()?),
            210..=224 => Self::Pass {
                tenths: u.int_in_range(0..=400)?,
            },
            225..=229 => Self::Gap,
            230..=237 => Self::Down,
            238..=249 => Self::Up(u.arbitrary()?),
            250..=251 => Self::Replaced,
            252..=253 => Self::Foreign(u.arbitrary()?),
            254 => Self::Rare(u.arbitrary()?),
            255 => Self::Closed,
        })
    }
}

/// A `chat` event.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) struct Chat {
    run: Run,
    state: State,
    said: Option<Said>,
    added: Option<Said>,
    seq: Option<u8>,
    replace: bool,
}

/// An `agent` event.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) struct Agent {
    run: Run,
    phase: Option<Phase>,
    said: Option<Said>,
    heartbeat: bool,
    no_session: bool,
}

/// A `sessions.changed` event.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) struct Changed {
    run: Run,
    error: bool,
    reset: bool,
    runs: bool,
}

/// An answer to `chat.history`.
#[derive(Arbitrary, Debug, Clone)]
pub(super) struct History {
    rows: Vec<Row>,
    running: Option<Run>,
    said: Option<Said>,
    other_transcript: bool,
}

/// An answer to `agent.wait`.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) struct Waited {
    run: Run,
    status: Status,
    said: Option<Said>,
    stopped: bool,
}
