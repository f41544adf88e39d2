//! Messages within a board and from a board to its user, and agents' `SOUL.md`.

use super::context::Dispatch;
use super::context::{CoordinatorContext, check_message, sender, tags};
use super::error::CoordinationError;
use super::operation::{AskUser, DeliveryReceipt, Nudge, Onboarding, Soul};
use super::policy;
use crate::control_plane::FileWrite;
use windlass_store::{Agent, FileOverride};
use windlass_templates::{Content, MessageKind, MessageVariables};

/// Whom a user's answer is from, unless said otherwise.
const USER_SOURCE: &str = "gateway-main";

impl CoordinatorContext {
    /// Says something to an agent of a board.
    pub(super) async fn nudge(&self, nudge: Nudge) -> Result<DeliveryReceipt, CoordinationError> {
        let correlation_id = self.correlation(nudge.correlation_id.as_ref());
        let target = self.agent(nudge.agent).await?;
        let end = self.in_time(self.try_nudge(&nudge, &target, &correlation_id)).await;
        self.note("board.nudge", nudge.board, Some(&target), &end, &correlation_id)
            .await;
        end.map(|()| said(&target, correlation_id))
    }

    async fn try_nudge(&self, nudge: &Nudge, target: &Agent, correlation_id: &str) -> Result<(), CoordinationError> {
        let caller = self.caller(nudge.caller).await?;
        policy::may_nudge(caller.as_ref(), target, nudge.board)?;
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
    pub(super) async fn ask_user(&self, ask: AskUser) -> Result<DeliveryReceipt, CoordinationError> {
        let correlation_id = self.correlation(ask.correlation_id.as_ref());
        let end = self.in_time(self.try_ask(&ask, &correlation_id)).await;
        let main = end.as_ref().ok();
        self.note("gateway.ask", ask.board, main, &end, &correlation_id).await;
        end.map(|main| said(&main, correlation_id))
    }

    async fn try_ask(&self, ask: &AskUser, correlation_id: &str) -> Result<Agent, CoordinationError> {
        let caller = self.caller(ask.caller).await?;
        policy::may_ask_user(caller.as_ref(), ask.board)?;
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
    pub(super) async fn onboard(&self, onboarding: Onboarding) -> Result<DeliveryReceipt, CoordinationError> {
        let correlation_id = self.correlation(onboarding.correlation_id.as_ref());
        let end = self.in_time(self.try_onboard(&onboarding, &correlation_id)).await;
        let main = end.as_ref().ok();
        self.note("board.onboarding", onboarding.board, main, &end, &correlation_id)
            .await;
        end.map(|main| said(&main, correlation_id))
    }

    async fn try_onboard(&self, onboarding: &Onboarding, correlation_id: &str) -> Result<Agent, CoordinationError> {
        let caller = self.caller(onboarding.caller).await?;
        policy::may_ask_user(caller.as_ref(), onboarding.board)?;
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
        board: windlass_store::BoardId,
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
    pub(super) async fn read_soul(&self, soul: Soul) -> Result<String, CoordinationError> {
        self.in_time(async {
            let target = self.agent(soul.agent).await?;
            let caller = self.caller(soul.caller).await?;
            policy::may_read_soul(caller.as_ref(), &target, soul.board)?;
            let (_, gateway) = self.board(soul.board).await?;
            let plane = self.plane(&gateway).await?;
            let text = plane.get_file(&target.agent_id(), Content::Soul.file_name()).await?;
            text.ok_or(CoordinationError::NoSoul)
        })
        .await
    }

    /// Gives an agent another `SOUL.md`. It is on record before it is written: even if the gateway fails, the next
    /// provisioning writes the same.
    pub(super) async fn write_soul(&self, soul: Soul, content: String) -> Result<(), CoordinationError> {
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
        policy::may_write_soul(caller.as_ref(), target, soul.board)?;
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
