//! Messages within a board, from a board to its user, and to the leads of boards; and agents' `SOUL.md`.

use futures_util::{StreamExt as _, stream};
use windlass_store::{Agent, Board, BoardFilter, BoardId, FileOverride};
use windlass_templates::{Content, MessageKind, MessageVariables};

use super::context::{CoordinatorContext, Dispatch, check_message, sender, tags};
use super::operation;
use super::operation::{
    AskUser, BoardResult, BroadcastReport, CoordinationError, DeliveryReceipt, LeadMessage, Nudge, Onboarding, Soul,
};
use crate::control_plane::FileWrite;
use crate::provisioner::{Ensure, RunOptions};

/// Whom a user's answer is from, unless said otherwise.
const USER_SOURCE: &str = "gateway-main";

impl CoordinatorContext {
    /// Says something to an agent of a board.
    pub(crate) async fn nudge(&self, nudge: Nudge) -> Result<DeliveryReceipt, CoordinationError> {
        let correlation_id = self.correlation(nudge.correlation_id.as_ref());
        let target = self.agent(nudge.agent).await?;
        let end = self.in_time(self.try_nudge(&nudge, &target, &correlation_id)).await;
        self.note("board.nudge", nudge.board, Some(&target), &end, &correlation_id)
            .await;
        end.map(|()| said(&target, correlation_id))
    }

    async fn try_nudge(&self, nudge: &Nudge, target: &Agent, correlation_id: &str) -> Result<(), CoordinationError> {
        let caller = self.caller(nudge.caller).await?;
        operation::may_nudge(caller.as_ref(), target, nudge.board)?;
        let (board, gateway) = self.board(nudge.board).await?;
        let text = self.text(
            &gateway,
            MessageKind::Nudge,
            MessageVariables {
                sender: sender(caller.as_ref()),
                board_id: board.id.to_string(),
                board_name: board.name,
                message: nudge.message.clone(),
                correlation_id: correlation_id.to_owned(),
                ..MessageVariables::default()
            },
        );
        let text = text.await?;
        self.dispatch(&Dispatch {
            gateway: &gateway,
            agent: target,
            text: &text,
            deliver: true,
            correlation_id,
        })
        .await
    }

    /// Asks the user, through the gateway's own agent.
    pub(crate) async fn ask_user(&self, ask: AskUser) -> Result<DeliveryReceipt, CoordinationError> {
        let correlation_id = self.correlation(ask.correlation_id.as_ref());
        let end = self.in_time(self.try_ask(&ask, &correlation_id)).await;
        let main = end.as_ref().ok();
        self.note("gateway.ask", ask.board, main, &end, &correlation_id).await;
        end.map(|main| said(&main, correlation_id))
    }

    async fn try_ask(&self, ask: &AskUser, correlation_id: &str) -> Result<Agent, CoordinationError> {
        let caller = self.caller(ask.caller).await?;
        operation::may_ask_user(caller.as_ref(), ask.board)?;
        let words = MessageVariables {
            sender: sender(caller.as_ref()),
            message: ask.question.clone(),
            channel: ask.channel.clone().unwrap_or_default(),
            correlation_id: correlation_id.to_owned(),
            tags: tags(&ask.tags, correlation_id),
            source: ask.source.clone().unwrap_or_else(|| USER_SOURCE.to_owned()),
            ..MessageVariables::default()
        };
        self.tell_main(ask.board, MessageKind::AskUser, words, true).await
    }

    /// Has the gateway's own agent ask its user for the purpose of a new board.
    pub(crate) async fn onboard(&self, onboarding: Onboarding) -> Result<DeliveryReceipt, CoordinationError> {
        let correlation_id = self.correlation(onboarding.correlation_id.as_ref());
        let end = self.in_time(self.try_onboard(&onboarding, &correlation_id)).await;
        let main = end.as_ref().ok();
        self.note("board.onboarding", onboarding.board, main, &end, &correlation_id)
            .await;
        end.map(|main| said(&main, correlation_id))
    }

    async fn try_onboard(&self, onboarding: &Onboarding, correlation_id: &str) -> Result<Agent, CoordinationError> {
        let caller = self.caller(onboarding.caller).await?;
        operation::may_ask_user(caller.as_ref(), onboarding.board)?;
        let words = MessageVariables {
            sender: sender(caller.as_ref()),
            message: onboarding.known.clone(),
            correlation_id: correlation_id.to_owned(),
            tags: vec!["onboarding".to_owned(), correlation_id.to_owned()],
            source: USER_SOURCE.to_owned(),
            ..MessageVariables::default()
        };
        self.tell_main(onboarding.board, MessageKind::Onboarding, words, true)
            .await
    }

    /// Says something about a board to the own agent of its gateway.
    async fn tell_main(
        &self,
        board: BoardId,
        kind: MessageKind,
        words: MessageVariables,
        deliver: bool,
    ) -> Result<Agent, CoordinationError> {
        let (board, gateway) = self.board(board).await?;
        let main = self.main_agent(gateway.id).await?;
        let correlation_id = words.correlation_id.clone();
        let words = MessageVariables {
            board_id: board.id.to_string(),
            board_name: board.name,
            ..words
        };
        let text = self.text(&gateway, kind, words).await?;
        self.dispatch(&Dispatch {
            gateway: &gateway,
            agent: &main,
            text: &text,
            deliver,
            correlation_id: &correlation_id,
        })
        .await?;
        Ok(main)
    }
}

fn said(agent: &Agent, correlation_id: String) -> DeliveryReceipt {
    DeliveryReceipt {
        agent: agent.id,
        correlation_id,
        created: false,
    }
}

impl CoordinatorContext {
    /// An agent's `SOUL.md`, as it stands on its gateway.
    pub(crate) async fn read_soul(&self, soul: Soul) -> Result<String, CoordinationError> {
        self.in_time(async {
            let target = self.agent(soul.agent).await?;
            let caller = self.caller(soul.caller).await?;
            operation::may_read_soul(caller.as_ref(), &target, soul.board)?;
            let (_, gateway) = self.board(soul.board).await?;
            let plane = self.plane(&gateway).await?;
            let text = plane.get_file(&target.agent_id(), Content::Soul.file_name()).await?;
            text.ok_or(CoordinationError::NoSoul)
        })
        .await
    }

    /// Gives an agent another `SOUL.md`. It is on record before it is written: even if the gateway fails, the next
    /// provisioning writes the same.
    pub(crate) async fn write_soul(&self, soul: Soul, content: String) -> Result<(), CoordinationError> {
        let correlation_id = self.correlation(None);
        let target = self.agent(soul.agent).await?;
        let end = self.in_time(self.try_write_soul(&soul, &target, &content)).await;
        self.note("agent.soul", soul.board, Some(&target), &end, &correlation_id)
            .await;
        end
    }

    async fn try_write_soul(&self, soul: &Soul, target: &Agent, content: &str) -> Result<(), CoordinationError> {
        check_message("content", content, false)?;
        let caller = self.caller(soul.caller).await?;
        operation::may_write_soul(caller.as_ref(), target, soul.board)?;
        let (_, gateway) = self.board(soul.board).await?;
        let kept = windlass_store::amend(&*self.store, target.id, |agent| {
            agent.soul_override = Some(FileOverride::Text(content.to_owned()));
        });
        kept.await?.ok_or(CoordinationError::NoAgent(target.id))?;
        let plane = self.plane(&gateway).await?;
        let name = Content::Soul.file_name();
        match plane.set_file(&target.agent_id(), name, content).await? {
            FileWrite::Written => Ok(()),
            FileWrite::Unsupported => Err(CoordinationError::Invalid {
                field: "SOUL.md",
                why: "is not taken by this gateway".into(),
            }),
        }
    }
}

/// Boards that are spoken to at a time: a lead may have to be brought to life first.
const BOARDS_AT_A_TIME: usize = 8;

/// Whom a lead's answer is from, unless said otherwise.
const LEAD_SOURCE: &str = "lead";

impl CoordinatorContext {
    /// Says something to a board's lead, which is brought to life if there is none.
    pub(crate) async fn message_lead(
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
        operation::may_message_lead(caller.as_ref(), &board, message.gateway)?;
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
    pub(crate) async fn broadcast(
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
