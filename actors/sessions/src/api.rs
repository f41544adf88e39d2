//! The session API of one gateway.

use std::sync::Arc;
use std::time::Duration;

use windlass_line::Line;
use windlass_protocol::run::RunEnd;
use windlass_protocol::{AgentId, RetryPolicy, SessionKey};
use windlass_store::{ChatSend, StoreError};

use super::client::GatewayClient;
use super::error::{MessageInterrupted, SendError};
use super::in_flight::Replaced;
use super::manager::SessionManagerHandle;
use super::message::{Handover, Message, MessageHandle};
use super::outbox::{self, PendingMessage};

/// The sessions of one gateway. Cheap to clone, usable from any thread.
///
/// Operations wait for a line that is down, for as long as they may take ([`timeout`](Self::timeout)). What can be done twice is
/// done again by itself when the line breaks under it; of what can't, the error says that its outcome is not known.
#[derive(Debug, Clone)]
pub struct Sessions {
    pub(crate) client: GatewayClient,
    pub(crate) manager: SessionManagerHandle,
}

impl Sessions {
    /// The sessions at the other end of a line.
    pub const fn new(line: Arc<Line>, manager: SessionManagerHandle) -> Self {
        Self {
            client: GatewayClient::new(line),
            manager,
        }
    }

    /// Sets how long each call to the gateway may take from here on, the wait for the line included; 30 s by default. Messages
    /// have [their own limit](Message::give_up_after).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.client = self.client.with_timeout(timeout);
        self
    }

    /// Makes calls again from here on while their failure is a passing one and the policy's budget lasts. `seed` is for the
    /// jitter.
    pub fn retry(mut self, policy: RetryPolicy, seed: u64) -> Self {
        self.client = self.client.with_retry(policy, seed);
        self
    }

    /// The client by which the calls are made.
    pub const fn client(&self) -> &GatewayClient {
        &self.client
    }

    /// The gateway's line.
    pub const fn line(&self) -> &Arc<Line> {
        self.client.line()
    }

    /// Prepares a message to a session, which the gateway makes if there is none.
    pub fn message(&self, session: SessionKey, text: impl Into<String>) -> Message {
        Message::new(Arc::clone(self.line()), session, text)
    }

    /// Sends a message, when the messages before it in its session are over, and follows it.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(&self, message: Message) -> Result<MessageHandle, SendError> {
        self.manager.send(message).await
    }

    /// Sends a message and waits for its one end.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send_and_wait(&self, message: Message) -> Result<RunEnd, SendError> {
        self.manager.send_and_wait(message).await
    }

    /// Hands a message to the gateway exactly once, and returns when the gateway has taken it. See
    /// [`SessionManagerHandle::hand_over`].
    ///
    /// # Errors
    /// [`SendError::Interrupted`] and [`SendError::TooMany`].
    pub async fn hand_over(&self, message: Message) -> Result<Handover, SendError> {
        self.manager.hand_over(message).await
    }

    /// Tells the messages that are followed in an agent's sessions that the agent was deleted.
    pub async fn agent_deleted(&self, agent: &AgentId) {
        self.manager.replaced(self.line(), Replaced::Agent(agent.clone())).await;
    }

    /// Follows a message that is under way, from its text so far on: one that an earlier process began, for example. Nothing when
    /// there is none with this key; [`on_record`](Self::on_record) tells how one ended.
    ///
    /// # Errors
    /// [`MessageInterrupted`], when Windlass was shut down.
    pub async fn follow(&self, key: impl Into<String>) -> Result<Option<MessageHandle>, MessageInterrupted> {
        self.manager.follow(key.into()).await
    }

    /// The messages to this gateway that are on record and have no end yet, in the order in which they were asked for. Without an
    /// [`Outbox`](crate::Outbox) there are none.
    ///
    /// # Errors
    /// The store's.
    pub async fn pending(&self) -> Result<Vec<PendingMessage>, StoreError> {
        let Some(store) = &self.manager.store else {
            return Ok(Vec::new());
        };
        outbox::pending(&**store, self.line().id()).await
    }

    /// A message on record, to whichever gateway; ended ones stay for [`ENDS_KEPT`](crate::ENDS_KEPT).
    ///
    /// # Errors
    /// The store's.
    pub async fn on_record(&self, key: &str) -> Result<Option<ChatSend>, StoreError> {
        match &self.manager.store {
            Some(store) => store.chat_send(key).await,
            None => Ok(None),
        }
    }
}
