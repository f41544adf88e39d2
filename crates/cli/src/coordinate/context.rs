//! The sender and the correlation id of a message, and the errors of sending one.

use clap::Args;
use serde_json::{Value, json};
use windlass::agents::coordinator::{CoordinationCaller, MESSAGE_CHARS};
use windlass::agents::{ControlError, CoordinationError};
use windlass::store::{Agent, Board, Gateway};
use windlass_protocol::Advice;

use crate::agents::context::Down;
use crate::exit::{ExitCode, Failure, of_call, of_rejection};
use crate::store::{Records, random};

/// Longest text taken, in bytes: that many characters of up to four bytes. Whether they are too many is the coordinator's to say.
pub(crate) const TEXT_BYTES: usize = MESSAGE_CHARS * 4;

/// Longest id taken, in characters: a key of the gateway is made of it and of a board's id.
const CORRELATION_CHARS: usize = 120;

/// The arguments of every message.
#[derive(Debug, Args)]
pub(crate) struct Who {
    /// Send it as this agent, with its rights [default: as an operator, with all rights]
    #[arg(long = "as", value_name = "AGENT")]
    on_behalf_of: Option<String>,
    /// The id of the message: the answer refers to it, and a message that is sent twice with one id arrives once [default: a new
    /// one]
    #[arg(long, value_name = "ID", value_parser = correlation)]
    correlation_id: Option<String>,
}

/// An id that stays one line wherever it is written.
fn correlation(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_graphic();
    if text.is_empty() || text.len() > CORRELATION_CHARS || !text.chars().all(plain) {
        return Err(format!(
            "up to {CORRELATION_CHARS} letters, digits and signs are wanted, without blanks"
        ));
    }
    Ok(text.to_owned())
}

impl Who {
    pub(crate) fn caller(&self, records: &Records) -> Result<CoordinationCaller, Failure> {
        caller(self.on_behalf_of.as_deref(), records)
    }

    /// Chosen here, so that it can be told also when nothing comes back.
    pub(crate) fn correlation_id(&self) -> Result<String, Failure> {
        if let Some(given) = &self.correlation_id {
            return Ok(given.clone());
        }
        Ok(uuid::Builder::from_random_bytes(random()?).into_uuid().to_string())
    }
}

/// The sender.
pub(crate) fn caller(name: Option<&str>, records: &Records) -> Result<CoordinationCaller, Failure> {
    let agent = name.map(|name| records.agent(name)).transpose()?;
    Ok(agent.map_or(CoordinationCaller::Operator, |agent| {
        CoordinationCaller::Agent(agent.id)
    }))
}

/// The board that an agent works on.
pub(crate) fn board_of<'a>(records: &'a Records, agent: &Agent) -> Result<&'a Board, Failure> {
    let board = records.boards.iter().find(|board| agent.board_id == Some(board.id));
    board.ok_or_else(|| {
        Failure::usage(
            format!(
                "{} is a gateway's own agent and on no board",
                records.agent_name(agent.id)
            ),
            "Speak to it with windlass chat, or name an agent of a board.",
        )
    })
}

/// The gateway that a board is on.
pub(crate) fn gateway_of<'a>(records: &'a Records, board: &Board) -> Result<&'a Gateway, Failure> {
    let gateway = records
        .gateways
        .iter()
        .find(|gateway| board.gateway_id == Some(gateway.id));
    gateway.ok_or_else(|| {
        Failure::usage(
            format!("board {} has no gateway", records.board_name(board.id)),
            "Add the board again, with --on GATEWAY.",
        )
    })
}

/// The HTTP-like status for a failure of the gateway.
const BAD_GATEWAY: u16 = 502;

/// Why something was not said or read.
#[derive(Debug)]
pub(crate) struct CoordinationFailure {
    pub(crate) exit: ExitCode,
    pub(crate) status: u16,
    pub(crate) advice: Advice,
}

impl CoordinationFailure {
    /// As JSON fields, to be added to an object.
    pub(crate) fn as_json(&self) -> Value {
        json!({
            "outcome": "failed",
            "status": self.status,
            "summary": self.advice.summary,
            "nextStep": self.advice.next_step,
        })
    }

    pub(crate) fn into_failure(self) -> Failure {
        Failure::Told(self.exit, self.advice)
    }
}

impl From<Down> for CoordinationFailure {
    fn from(down: Down) -> Self {
        Self {
            exit: down.exit,
            status: BAD_GATEWAY,
            advice: down.advice,
        }
    }
}

impl From<CoordinationError> for CoordinationFailure {
    fn from(error: CoordinationError) -> Self {
        Self {
            exit: exit_of(&error),
            status: error.status(),
            advice: Advice::new(error.to_string(), error.next_step()),
        }
    }
}

fn exit_of(error: &CoordinationError) -> ExitCode {
    match error {
        CoordinationError::Gateway(error) => of_gateway(error),
        CoordinationError::Forbidden(_) => ExitCode::Refused,
        CoordinationError::TooLate { .. } => ExitCode::Unknown,
        CoordinationError::NoMainAgent(_)
        | CoordinationError::NoSoul
        | CoordinationError::Lead(_)
        | CoordinationError::Interrupted(_) => ExitCode::Agents,
        // Records, texts, templates and the store: all for whoever called the program to put right.
        _ => ExitCode::Usage,
    }
}

fn of_gateway(error: &ControlError) -> ExitCode {
    match error {
        ControlError::Rejected(rejected) => of_rejection(&rejected.error),
        ControlError::Line(call) => of_call(call).unwrap_or(ExitCode::Unreachable),
        ControlError::Invalid { .. } => ExitCode::Usage,
        _ => ExitCode::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_line_without_blanks() {
        assert_eq!(correlation("ticket-42/a"), Ok("ticket-42/a".to_owned()));
        for wrong in ["", "a b", "a\n", "é", &"x".repeat(CORRELATION_CHARS + 1)] {
            assert!(correlation(wrong).is_err(), "{wrong:?}");
        }
    }
}

#[cfg(test)]
mod trouble_tests {
    use std::time::Duration;

    use windlass_protocol::{CallError, NotSent};

    use super::*;
    use windlass::agents::Interrupted;

    #[test]
    fn each_trouble_has_the_exit_code_that_says_what_to_do() {
        let not_ready = CallError::from(NotSent::NotReady { waited: Duration::ZERO });
        for (error, exit, status) in [
            (CoordinationError::Gateway(not_ready.into()), ExitCode::Unreachable, 502),
            (CoordinationError::NoSoul, ExitCode::Agents, 404),
            (CoordinationError::Interrupted(Interrupted), ExitCode::Agents, 503),
            (
                CoordinationError::TooLate {
                    after: Duration::from_secs(45),
                },
                ExitCode::Unknown,
                502,
            ),
            (
                CoordinationError::Invalid {
                    field: "message",
                    why: "is empty".into(),
                },
                ExitCode::Usage,
                422,
            ),
        ] {
            let trouble = CoordinationFailure::from(error);
            assert_eq!((trouble.exit, trouble.status), (exit, status), "{trouble:?}");
        }
    }
}
