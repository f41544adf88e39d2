//! The output of a tracker: actions, progress, and one end.

use std::fmt;
use std::time::Duration;

use crate::releases::messages;
use crate::text::{MESSAGE_LIMIT, printable};
use crate::{Advice, Advise, GatewayError, NotSent};

/// One thing that [`RunTracker::poll`](super::RunTracker::poll) gives, in the order in which it has to be handled.
#[derive(Debug, Clone, PartialEq)]
pub enum RunOutput {
    /// Call the gateway, and bring back its answer.
    Do(Action),
    /// Report it to the follower of the run.
    Tell(RunProgress),
    /// The end; nothing comes after it.
    End(RunEnd),
}

/// A call to make. Each is answered once: with its reply, or with its error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `chat.send` with the config's text under the config's key; answer with `on_sent` or `on_send_failed`.
    ///
    /// When the line breaks, drop a call that still waits to be written: the tracker takes it for unanswered and sends again
    /// itself where that is right.
    Send,
    /// `chat.history` of the session, its last rows; answer with `on_history` or `on_ask_failed`.
    AskHistory {
        /// How many rows.
        limit: u32,
    },
    /// `agent.wait`; answer with `on_wait` or `on_ask_failed`. The call needs a deadline beyond `timeout`.
    AskWait {
        /// The run.
        run_id: String,
        /// How long the gateway shall wait.
        timeout: Duration,
    },
}

/// Which question failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// [`Action::AskHistory`].
    History,
    /// [`Action::AskWait`].
    Wait,
}

/// A step of the run. All increments since the last [`RunProgress::Replaced`], put together, are the text so far; at
/// [`RunEnd::Final`] they are the final text, unless [`RunProgress::Hole`] was told after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunProgress {
    /// The gateway has taken the message.
    Started {
        /// Its run.
        run_id: String,
    },
    /// More text.
    Increment(String),
    /// The text so far was something else: the release corrected itself, or another run answers than was thought.
    Replaced(String),
    /// Text was lost and can't be told before the end, which will replace it all. Only where a release sends increments
    /// without the text so far.
    Hole,
    /// The answer comes with another run.
    HandedOn {
        /// That run.
        to: String,
    },
}

/// How a logical send ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RunEnd {
    /// With an answer.
    Final(RunAnswer),
    /// The run failed.
    Failed(RunFailure),
    /// The run was stopped: on request, or with its session.
    Aborted {
        /// The run.
        run_id: String,
        /// `rpc`, `restart`, `aborted`...
        reason: Option<String>,
        /// Its text so far.
        text: Option<String>,
        /// The evidence.
        by: Evidence,
    },
    /// The message was a command that the gateway carried out itself, such as `stop`: no run, no answer.
    Command(CommandDone),
    /// The gateway did not take the message.
    Refused(GatewayError),
    /// The gateway took nothing of the message: it never left this process, or each time that it did it was refused for a while
    /// or taken for a repetition.
    NotSent(NotSent),
    /// The history proves that the gateway lost the message or its run.
    Lost(Loss),
    /// Nothing can tell.
    Unknown(Doubt),
}

impl fmt::Display for RunEnd {
    /// One line for people: the outcome and its reason, without the texts of agents and users.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Final(answer) if answer.text.is_empty() => f.write_str("answered without a text"),
            Self::Final(answer) => write!(f, "answered with {} characters", answer.text.chars().count()),
            Self::Failed(failure) => write!(f, "failed: {}", printable(&failure.message, MESSAGE_LIMIT)),
            Self::Aborted { reason: None, .. } => f.write_str("aborted"),
            Self::Aborted {
                reason: Some(reason), ..
            } => write!(f, "aborted ({})", printable(reason, MESSAGE_LIMIT)),
            Self::Command(CommandDone { run_ids, .. }) => match run_ids.len() {
                0 => f.write_str("carried out by the gateway as a command"),
                1 => f.write_str("carried out by the gateway as a command, which stopped 1 run"),
                runs => write!(f, "carried out by the gateway as a command, which stopped {runs} runs"),
            },
            Self::Refused(error) => write!(f, "refused: {error}"),
            Self::NotSent(why) => write!(f, "not sent: {why}"),
            Self::Lost(why) => write!(f, "lost: {why}"),
            Self::Unknown(why) => write!(f, "outcome unknown: {why}"),
        }
    }
}

/// The answer of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAnswer {
    /// The whole text; empty where the run said nothing. At most [`TEXT_LIMIT`](crate::releases::runs::TEXT_LIMIT) bytes.
    pub text: String,
    /// The run that gave it: the key, unless it was handed on or resumed.
    pub run_id: String,
    /// Another message was answered with it: this one joined a run under way.
    pub joined: bool,
    /// The text was longer than is kept, or than the gateway shows of it where only the history told of it (12,000 units of UTF-16 on
    /// 2026.3.13, 8,000 on 2026.8.2).
    pub cut: bool,
    /// The evidence.
    pub by: Evidence,
}

/// The effect of a message that was a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandDone {
    /// Whether it stopped a run; nothing where the gateway does not say.
    pub aborted: Option<bool>,
    /// The runs that it stopped.
    pub run_ids: Vec<String>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFailure {
    /// The gateway's words, for people.
    pub message: String,
    /// The run.
    pub run_id: String,
    /// Which sign it is known by.
    pub sign: FailureSign,
    /// The repair.
    pub repair: Option<Repair>,
}

/// The sign of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureSign {
    /// A `chat` event.
    Event,
    /// `lifecycle` error, and no retry after it (2026.4, 2026.5).
    Lifecycle,
    /// The assistant's row (2026.1, and after a reconnect on all).
    History,
    /// `agent.wait` (from 2026.6 on).
    Wait,
    /// The answer to sending the key again (generation 4).
    Repeated,
    /// A final that holds an error instead of an answer (2026.3 while it drains): nothing was run.
    ToldAsAnswer,
}

/// The repair of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// `sessions.delete`, then the message again under a new key: seen to work on 2026.6.11, where `sessions.reset` does not.
    DeleteSession,
}

impl Advise for RunFailure {
    fn advice(&self) -> Advice {
        match self.repair {
            Some(Repair::DeleteSession) => Advice::new(
                "The session was made before its first message, and this release cannot go on with it.",
                "Delete the session and send the message again; let messages make sessions on this gateway.",
            ),
            None if self.sign == FailureSign::ToldAsAnswer => Advice::new(
                "The gateway took the message and did not run it.",
                "Send it again when the gateway is back.",
            ),
            None if messages::runs_main_only(&self.message) => Advice::new(RUNS_MAIN_ONLY.0, RUNS_MAIN_ONLY.1),
            None => Advice::new(
                "The agent could not answer.",
                "SoughtMessage at the model's provider and at the gateway's log.",
            ),
        }
    }
}

/// 2026.2.12, for every agent but the first.
const RUNS_MAIN_ONLY: (&str, &str) = (
    "This gateway's release (2026.2.12) can't run sessions of further agents.",
    "Update the gateway to 2026.2.26 or later: nothing else helps.",
);

/// The meaning of a run's failure, in the gateway's words and where it is known in ours; for an agent's record.
pub fn explain_failed_run(message: &str) -> String {
    let said = printable(message, MESSAGE_LIMIT);
    if messages::runs_main_only(message) {
        let (summary, next_step) = RUNS_MAIN_ONLY;
        return format!("{summary} {next_step} The gateway says: {said}");
    }
    format!("its run failed: {said}")
}

/// The evidence of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// An event.
    Event,
    /// `chat.history`.
    History,
    /// `agent.wait`.
    Wait,
    /// The answer to sending the key again.
    Repeated,
}

/// The kind of loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Loss {
    /// The gateway's process is gone, and the history has neither the message nor an answer.
    #[error("the gateway restarted and kept neither the message nor an answer")]
    WithProcess,
    /// The history has the message, the gateway was restarted, and nothing goes on with it.
    #[error("the gateway restarted, kept the message and did not go on with it")]
    NotResumed,
    /// The session was reset or deleted, and the run with it.
    #[error("the session was reset or deleted under the run")]
    SessionReplaced,
}

/// Why nothing can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Doubt {
    /// [`RunLimits::give_up`](super::RunLimits::give_up) is over and the run goes on, or the line is down.
    #[error("no end was seen in the time given; the run may go on")]
    TimedOut,
    /// The run is over, and neither events nor the history say how (2026.3 keeps no row of failed and stopped runs).
    #[error("the run is over and the gateway kept no trace of how it ended")]
    EndUnseen,
    /// The gateway knew the key already and has no such message: it was used for another one (2026.3 does not say).
    #[error("the gateway knew the key already, and its history does not have the message")]
    KeyUsedBefore,
    /// Nothing proved that the gateway still knows the key, so that sending again could run it twice, and no answer came for as
    /// long as keys are remembered: the outage was longer, or the gateway may have restarted (before 2026.8.2 there is no boot id).
    #[error(
        "the gateway may have forgotten the key, and neither an answer nor the history tells what became of the message"
    )]
    KeyForgotten,
    /// The line was closed for good, by its owner.
    #[error("the line was closed before an end was seen; the run may go on")]
    Closed,
    /// The gateway's answer to the message is not understood, and no event or row showed its end.
    #[error("the gateway's answer to the message is not understood, and nothing shows what became of it")]
    AnswerNotUnderstood,
    /// [`RunLimits::sends`](super::RunLimits::sends) was met.
    #[error("the message was sent as often as is allowed and no answer came")]
    TooManySends,
    /// The gateway took the text for a repetition every time (2026.6).
    #[error("the gateway took the message for a repetition of an earlier one and did not run it")]
    TakenForRepetition,
}

/// How long a session is left alone after a run in it failed by an event. Between the first of two error events and the
/// second, 0.16 s later, 2026.6.11 and 2026.7.1 take a message, write it down, end it bare and never run it.
pub const SETTLES_AFTER_FAILURE: Duration = Duration::from_secs(2);

/// How long a session is to be left alone after this end of a run in it.
pub const fn settles_after(end: &RunEnd) -> Duration {
    match end {
        RunEnd::Failed(failure) if matches!(failure.sign, FailureSign::Event) => SETTLES_AFTER_FAILURE,
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_shown_as_one_line_without_the_texts_of_a_conversation() {
        let answer = |text: &str| {
            RunEnd::Final(RunAnswer {
                text: text.into(),
                run_id: "r".into(),
                joined: false,
                cut: false,
                by: Evidence::Event,
            })
        };
        let command = |run_ids: &[&str]| {
            RunEnd::Command(CommandDone {
                aborted: Some(!run_ids.is_empty()),
                run_ids: run_ids.iter().map(ToString::to_string).collect(),
            })
        };
        let aborted = RunEnd::Aborted {
            run_id: "r".into(),
            reason: Some("r\u{1b}pc".into()),
            text: Some("secret".into()),
            by: Evidence::Event,
        };
        for (end, shown) in [
            (answer(""), "answered without a text"),
            (answer("Hällo"), "answered with 5 characters"),
            (
                command(&["r"]),
                "carried out by the gateway as a command, which stopped 1 run",
            ),
            (command(&[]), "carried out by the gateway as a command"),
            (
                RunEnd::Lost(Loss::SessionReplaced),
                "lost: the session was reset or deleted under the run",
            ),
        ] {
            assert_eq!(end.to_string(), shown);
        }
        let shown = aborted.to_string();
        assert!(
            shown.starts_with("aborted (r") && !shown.contains('\u{1b}') && !shown.contains("secret"),
            "{shown}"
        );
    }
}
