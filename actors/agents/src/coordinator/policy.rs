//! The permissions of the coordinator, decided from records alone.

use windlass_store::{Agent, AgentRole, AgentUid, Board, BoardId, GatewayUid};

/// The caller of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A person, or the service itself: may do everything here.
    Operator,
    /// An agent, by its record.
    Agent(AgentUid),
}

/// Why something may not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Forbidden {
    /// The agent belongs to another board, or to none.
    #[error("agent {agent} does not belong to board {board}")]
    OtherBoard {
        /// The agent.
        agent: AgentUid,
        /// The board.
        board: BoardId,
    },
    /// An agent of another board asks.
    #[error("an agent speaks to agents of its own board only")]
    OutsideOwnBoard,
    /// Only leads may.
    #[error("only the board's lead may do this")]
    LeadOnly,
    /// Only the gateway's own agent may.
    #[error("only the gateway's own agent may do this")]
    MainOnly,
    /// The board is on another gateway, or on none.
    #[error("board {board} is not on gateway {gateway}")]
    OtherGateway {
        /// The board.
        board: BoardId,
        /// The gateway.
        gateway: GatewayUid,
    },
}

/// An agent of the board may be nudged; by a person, or by an agent of the same board.
pub(super) fn may_nudge(caller: Option<&Agent>, target: &Agent, board: BoardId) -> Result<(), Forbidden> {
    if target.board_id != Some(board) {
        return Err(Forbidden::OtherBoard {
            agent: target.id,
            board,
        });
    }
    match caller {
        Some(caller) if caller.board_id != Some(board) => Err(Forbidden::OutsideOwnBoard),
        _ => Ok(()),
    }
}

/// The callers who may nudge read a soul, and the agent itself.
pub(super) fn may_read_soul(caller: Option<&Agent>, target: &Agent, board: BoardId) -> Result<(), Forbidden> {
    may_nudge(caller, target, board)
}

/// A soul is written by a person or by the board's lead.
pub(super) fn may_write_soul(caller: Option<&Agent>, target: &Agent, board: BoardId) -> Result<(), Forbidden> {
    may_nudge(caller, target, board)?;
    match caller {
        Some(caller) if caller.role() != AgentRole::Lead => Err(Forbidden::LeadOnly),
        _ => Ok(()),
    }
}

/// The user is asked on behalf of a board by a person or by the board's lead.
pub(super) fn may_ask_user(caller: Option<&Agent>, board: BoardId) -> Result<(), Forbidden> {
    match caller {
        Some(caller) if caller.board_id != Some(board) => Err(Forbidden::OutsideOwnBoard),
        Some(caller) if caller.role() != AgentRole::Lead => Err(Forbidden::LeadOnly),
        _ => Ok(()),
    }
}

/// Leads are spoken to by a person or by the gateway's own agent, and only those of boards on that gateway.
pub(super) fn may_message_lead(caller: Option<&Agent>, board: &Board, gateway: GatewayUid) -> Result<(), Forbidden> {
    if caller.is_some_and(|caller| caller.role() != AgentRole::Main) {
        return Err(Forbidden::MainOnly);
    }
    let caller_is_elsewhere = caller.is_some_and(|caller| caller.gateway_id != gateway);
    if caller_is_elsewhere || board.gateway_id != Some(gateway) {
        return Err(Forbidden::OtherGateway {
            board: board.id,
            gateway,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use windlass_store::{OrganizationId, Timestamp};

    use super::*;

    const AT: Timestamp = Timestamp::from_millis(0);

    fn gateway(n: u8) -> GatewayUid {
        GatewayUid::from_bytes([n; 16])
    }

    fn board_id(n: u8) -> BoardId {
        BoardId::from_bytes([n; 16])
    }

    fn board(n: u8) -> Board {
        let organization = OrganizationId::from_bytes([1; 16]);
        Board::new(board_id(n), organization, Some(gateway(1)), "board", AT)
    }

    fn worker(board: u8) -> Agent {
        Agent::new_worker(AgentUid::from_bytes([9; 16]), gateway(1), board_id(board), "worker", AT)
    }

    fn lead(board: u8) -> Agent {
        Agent::new_lead(AgentUid::from_bytes([8; 16]), gateway(1), board_id(board), "lead", AT)
    }

    fn main(n: u8) -> Agent {
        Agent::new_main(AgentUid::from_bytes([7; 16]), gateway(n), "main", AT)
    }

    #[test]
    fn agents_of_a_board_nudge_each_other_and_nobody_else() {
        let target = worker(1);
        assert_eq!(may_nudge(None, &target, board_id(1)), Ok(()));
        assert_eq!(may_nudge(Some(&lead(1)), &target, board_id(1)), Ok(()));
        assert_eq!(
            may_nudge(Some(&lead(2)), &target, board_id(1)),
            Err(Forbidden::OutsideOwnBoard)
        );
        assert_eq!(
            may_nudge(Some(&main(1)), &target, board_id(1)),
            Err(Forbidden::OutsideOwnBoard)
        );
        let wrong = may_nudge(None, &target, board_id(2)).unwrap_err();
        assert!(matches!(wrong, Forbidden::OtherBoard { .. }));
    }

    #[test]
    fn souls_are_read_by_the_board_and_written_by_its_lead() {
        let target = worker(1);
        assert_eq!(may_read_soul(Some(&target), &target, board_id(1)), Ok(()));
        assert_eq!(
            may_write_soul(Some(&target), &target, board_id(1)),
            Err(Forbidden::LeadOnly)
        );
        assert_eq!(may_write_soul(Some(&lead(1)), &target, board_id(1)), Ok(()));
        assert_eq!(may_write_soul(None, &target, board_id(1)), Ok(()));
    }

    #[test]
    fn the_user_is_asked_by_the_boards_lead() {
        assert_eq!(may_ask_user(Some(&lead(1)), board_id(1)), Ok(()));
        assert_eq!(may_ask_user(Some(&worker(1)), board_id(1)), Err(Forbidden::LeadOnly));
        assert_eq!(
            may_ask_user(Some(&lead(2)), board_id(1)),
            Err(Forbidden::OutsideOwnBoard)
        );
    }

    #[test]
    fn leads_are_spoken_to_by_their_gateways_own_agent() {
        assert_eq!(may_message_lead(Some(&main(1)), &board(1), gateway(1)), Ok(()));
        assert_eq!(
            may_message_lead(Some(&lead(1)), &board(1), gateway(1)),
            Err(Forbidden::MainOnly)
        );
        let elsewhere = may_message_lead(Some(&main(2)), &board(1), gateway(2)).unwrap_err();
        assert!(matches!(elsewhere, Forbidden::OtherGateway { .. }));
        assert!(may_message_lead(Some(&main(2)), &board(1), gateway(1)).is_err());
    }
}
