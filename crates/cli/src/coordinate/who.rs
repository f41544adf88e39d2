//! On whose behalf something is said, and under which id.

use clap::Args;
use windlass::agents::coordinator::{Caller, MESSAGE_CHARS};
use windlass::store::{Agent, Board, Gateway};

use crate::exit::Failure;
use crate::ids::random;
use crate::store::Records;

/// Longest text taken, in bytes: that many characters of up to four bytes. Whether they are too many is the coordinator's to say.
pub(crate) const TEXT_BYTES: usize = MESSAGE_CHARS * 4;

/// Longest id taken, in characters: a key of the gateway is made of it and of a board's id.
const CORRELATION_CHARS: usize = 120;

/// What all messages take.
#[derive(Debug, Args)]
pub(crate) struct Who {
    /// Say it on behalf of this agent, with its rights [default: of an operator, who may do everything]
    #[arg(long = "as", value_name = "AGENT")]
    on_behalf_of: Option<String>,
    /// The id by which the answer is found again; what is said twice under one id is heard once [default: a fresh one]
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
    pub(crate) fn caller(&self, records: &Records) -> Result<Caller, Failure> {
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

/// On whose behalf.
pub(crate) fn caller(name: Option<&str>, records: &Records) -> Result<Caller, Failure> {
    let agent = name.map(|name| records.agent(name)).transpose()?;
    Ok(agent.map_or(Caller::Operator, |agent| Caller::Agent(agent.id)))
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
