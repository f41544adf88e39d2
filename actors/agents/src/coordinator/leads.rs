//! Messages to leads: to one, or to those of all boards of a gateway.

use futures_util::StreamExt as _;
use futures_util::stream;
use windlass_store::{Agent, Board, BoardFilter, BoardId};
use windlass_templates::MessageVariables;

use super::context::Dispatch;
use super::context::{CoordinatorContext, sender, tags};
use super::error::CoordinationError;
use super::operation::{BoardResult, BroadcastReport, DeliveryReceipt, LeadMessage};
use super::policy;
use crate::provisioner::{Ensure, RunOptions};

/// Boards that are spoken to at a time: a lead may have to be brought to life first.
const BOARDS_AT_A_TIME: usize = 8;

/// Whom a lead's answer is from, unless said otherwise.
const LEAD_SOURCE: &str = "lead";

impl CoordinatorContext {
    /// Says something to a board's lead, which is brought to life if there is none.
    pub(super) async fn message_lead(
        &self,
        message: LeadMessage,
        board: BoardId,
    ) -> Result<DeliveryReceipt, CoordinationError> {
        let correlation_id = self.correlation(message.correlation_id.as_ref());
        self.lead_of_board(&message, board, &correlation_id).await
    }

    async fn lead_of_board(
        &self,
        message: &LeadMessage,
        board: BoardId,
        correlation_id: &str,
    ) -> Result<DeliveryReceipt, CoordinationError> {
        let end = self.in_time(self.try_message(message, board, correlation_id)).await;
        let lead = end.as_ref().ok().map(|(lead, _)| lead);
        self.note("lead.message", board, lead, &end, correlation_id).await;
        end.map(|(lead, created)| DeliveryReceipt {
            agent: lead.id,
            correlation_id: correlation_id.to_owned(),
            created,
        })
    }

    async fn try_message(
        &self,
        message: &LeadMessage,
        board: BoardId,
        correlation_id: &str,
    ) -> Result<(Agent, bool), CoordinationError> {
        let caller = self.caller(message.caller).await?;
        let (board, gateway) = self.board(board).await?;
        policy::may_message_lead(caller.as_ref(), &board, message.gateway)?;
        let words = MessageVariables {
            sender: sender(caller.as_ref()),
            board_id: board.id.to_string(),
            board_name: board.name.clone(),
            message: message.message.clone(),
            correlation_id: correlation_id.to_owned(),
            tags: tags(&message.tags, correlation_id),
            source: message.source.clone().unwrap_or_else(|| LEAD_SOURCE.to_owned()),
            ..MessageVariables::default()
        };
        let text = self.text(&gateway, message.kind.template(), words).await?;
        let (lead, created) = self.ensure_lead(board.id).await?;
        self.dispatch(&Dispatch {
            gateway: &gateway,
            agent: &lead,
            text: &text,
            deliver: false,
            correlation_id,
        })
        .await?;
        Ok((lead, created))
    }

    async fn ensure_lead(&self, board: BoardId) -> Result<(Agent, bool), CoordinationError> {
        let wanted = Ensure::Lead { board, name: None };
        let ensured = self.provisioner.ensure(wanted, RunOptions::default()).await?;
        let ensured = ensured.report().await??;
        if let Some(failure) = ensured.report.and_then(|report| report.failure) {
            return Err(CoordinationError::Lead(Box::new(failure)));
        }
        Ok((self.agent(ensured.agent).await?, ensured.created))
    }

    /// Sends a message to the leads of all boards of a gateway, or of some. A failure of one does not stop the others.
    pub(super) async fn broadcast(
        &self,
        message: LeadMessage,
        boards: Option<Vec<BoardId>>,
    ) -> Result<BroadcastReport, CoordinationError> {
        let correlation_id = self.correlation(message.correlation_id.as_ref());
        let chosen = self.boards_of(&message, boards).await?;
        let results = stream::iter(chosen)
            .map(|board| self.say_to(&message, board, &correlation_id))
            .buffered(BOARDS_AT_A_TIME);
        let boards: Vec<BoardResult> = results.collect().await;
        let sent = boards.iter().filter(|board| board.error.is_none()).count();
        Ok(BroadcastReport {
            correlation_id,
            sent,
            failed: boards.len() - sent,
            boards,
        })
    }

    /// Newest first. Boards requested by id are always included; a problem with one is reported in its result.
    async fn boards_of(
        &self,
        message: &LeadMessage,
        boards: Option<Vec<BoardId>>,
    ) -> Result<Vec<(BoardId, Option<Board>)>, CoordinationError> {
        let mut chosen = Vec::new();
        if let Some(ids) = boards {
            for id in ids {
                chosen.push((id, self.store.board(id).await?));
            }
        } else {
            let filter = BoardFilter {
                gateway: Some(message.gateway),
                ..BoardFilter::default()
            };
            let all = self.store.boards(&filter).await?;
            chosen.extend(all.into_iter().map(|board| (board.id, Some(board))));
        }
        chosen.sort_by_key(|(_, board)| std::cmp::Reverse(board.as_ref().map(|board| board.created_at)));
        Ok(chosen)
    }

    async fn say_to(
        &self,
        message: &LeadMessage,
        (id, board): (BoardId, Option<Board>),
        correlation_id: &str,
    ) -> BoardResult {
        // The same words under the same id for all, and yet a message of its own for each lead.
        let end = self.lead_of_board(message, id, &format!("{correlation_id}:{id}")).await;
        let (agent, error, status) = match end {
            Ok(said) => (Some(said.agent), None, 200),
            Err(error) => (None, Some(error.to_string()), error.status()),
        };
        BoardResult {
            board: id,
            name: board.map(|board| board.name).unwrap_or_default(),
            agent,
            error,
            status,
        }
    }
}
