//! The ends of messages, each with its next step.

use serde::Serialize;
use utoipa::ToSchema;
use windlass::sessions::RunEnd;
use windlass_protocol::run::Loss;
use windlass_protocol::{Advice, Advise as _};
use windlass_store::{ChatSend, SendEnd, Timestamp};

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The agent answered.
    Final,
    /// The run failed.
    Failed,
    /// The run was stopped.
    Aborted,
    /// The gateway carried it out as a command, without a run.
    Command,
    /// The gateway did not take it.
    Refused,
    /// The gateway never got it.
    NotSent,
    /// The gateway lost it or its run.
    Lost,
    /// Nothing tells what became of it.
    Unknown,
    /// The gateway took it, and the service has been restarted since: how the run ended is in the history of the session.
    Taken,
}

/// The end of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MessageEnd {
    /// How it ended.
    pub outcome: Outcome,
    /// The time of it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The whole answer, or the text up to a stop.
    pub text: Option<String>,
    /// The run.
    pub run_id: Option<String>,
    /// Whether the text is shorter than the answer.
    pub cut: bool,
    /// The outcome as a sentence, without the texts of users and agents.
    pub summary: String,
    /// The next step, as a sentence; empty where there is none.
    pub next_step: String,
}

const SEND_ANEW: &str = "Send it again under a new key.";
const LOOK_FIRST: &str = "Read the history of the session before you send it again under a new key.";

impl MessageEnd {
    /// The end of a run.
    pub(crate) fn of(end: RunEnd, at: Timestamp) -> Self {
        let Advice { summary, next_step } = advice(&end);
        let bare = Self {
            outcome: Outcome::Unknown,
            at,
            text: None,
            run_id: None,
            cut: false,
            summary: summary.to_string(),
            next_step: next_step.to_string(),
        };
        match end {
            RunEnd::Final(answer) => Self {
                outcome: Outcome::Final,
                text: Some(answer.text),
                run_id: Some(answer.run_id),
                cut: answer.cut,
                ..bare
            },
            RunEnd::Failed(failure) => Self {
                outcome: Outcome::Failed,
                run_id: Some(failure.run_id),
                ..bare
            },
            RunEnd::Aborted { run_id, text, .. } => Self {
                outcome: Outcome::Aborted,
                run_id: Some(run_id),
                text,
                ..bare
            },
            RunEnd::Command(_) => Self {
                outcome: Outcome::Command,
                ..bare
            },
            RunEnd::Refused(_) => Self {
                outcome: Outcome::Refused,
                ..bare
            },
            RunEnd::NotSent(_) => Self {
                outcome: Outcome::NotSent,
                ..bare
            },
            RunEnd::Lost(_) => Self {
                outcome: Outcome::Lost,
                ..bare
            },
            _ => bare,
        }
    }
}

/// The outcome and the next step.
fn advice(end: &RunEnd) -> Advice {
    let said = end.to_string();
    match end {
        RunEnd::Failed(failure) => {
            let known = failure.advice();
            Advice::new(said, known.next_step)
        }
        RunEnd::Refused(error) => Advice::new(said, error.advice().next_step),
        RunEnd::NotSent(_) | RunEnd::Lost(Loss::WithProcess) => Advice::new(said, SEND_ANEW),
        RunEnd::Lost(_) | RunEnd::Unknown(_) => Advice::new(said, LOOK_FIRST),
        _ => Advice::new(said, ""),
    }
}

/// The end on record, which tells whether the gateway took the message.
pub(crate) fn end_of_record(send: &ChatSend) -> Option<MessageEnd> {
    let ended = send.ended.as_ref()?;
    let bare = |outcome, summary: String, next_step: &str| MessageEnd {
        outcome,
        at: ended.at,
        text: None,
        run_id: None,
        cut: false,
        summary,
        next_step: next_step.to_owned(),
    };
    Some(match &ended.end {
        SendEnd::Done { run_id } => MessageEnd {
            run_id: Some(run_id.clone()),
            ..bare(
                Outcome::Taken,
                "The gateway took the message.".into(),
                "Read the history of the session: the service was restarted since.",
            )
        },
        // The record does not tell a refusal from a message that never went out: the gateway did nothing either way.
        SendEnd::Failed { error } => bare(Outcome::NotSent, error.clone(), SEND_ANEW),
        SendEnd::Lost { why } => bare(Outcome::Unknown, why.clone(), LOOK_FIRST),
    })
}
