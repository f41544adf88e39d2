//! One message to one agent: its session made sure of, the message sent once, the attempt on record.

use std::sync::Arc;

use windlass_protocol::RetryPolicy;
use windlass_store::{Agent, BoardId, Gateway, NewActivity};

use super::error::CoordinationError;
use crate::control_plane::{ControlPlane, Outgoing};

use super::context::CoordinatorContext;

/// A message on its way to an agent.
pub(super) struct Dispatch<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) agent: &'a Agent,
    pub(super) text: &'a str,
    pub(super) deliver: bool,
    pub(super) correlation_id: &'a str,
}

impl CoordinatorContext {
    /// Sends, within the budget of somebody who waits for it. The correlation id is the idempotency key: however often the
    /// same thing is said under it, the agent hears it once.
    pub(super) async fn dispatch(&self, dispatch: &Dispatch<'_>) -> Result<(), CoordinationError> {
        let plane = self.plane(dispatch.gateway).await?;
        let key = &dispatch.agent.session_key;
        if plane.capabilities().await?.sessions_before_turns {
            plane.ensure_session(key, Some(&dispatch.agent.name)).await?;
        }
        let message = Outgoing {
            key: key.clone(),
            text: dispatch.text.to_owned(),
            deliver: dispatch.deliver,
            idempotency_key: dispatch.correlation_id.to_owned(),
            tried_before: false,
            within: RetryPolicy::COORDINATION.budget,
        };
        Ok(plane.send(&message).await?)
    }

    pub(super) async fn plane(&self, gateway: &Gateway) -> Result<Arc<dyn ControlPlane>, CoordinationError> {
        Ok(self.fleet.control_plane(gateway).await?)
    }

    /// Puts an attempt on record: `kind` with `.sent` or `.failed` behind it.
    pub(super) async fn note<T>(
        &self,
        kind: &str,
        board: BoardId,
        agent: Option<&Agent>,
        end: &Result<T, CoordinationError>,
        correlation_id: &str,
    ) {
        let (suffix, words) = match end {
            Ok(_) => ("sent", String::new()),
            Err(error) => ("failed", format!(": {error}")),
        };
        let who = agent.map(|agent| agent.name.as_str()).unwrap_or_default();
        let activity = NewActivity {
            kind: format!("{kind}.{suffix}"),
            message: format!("{who} ({correlation_id}){words}"),
            agent_id: agent.map(|agent| agent.id),
            board_id: Some(board),
            at: self.now(),
        };
        if let Err(error) = self.store.record(&activity).await {
            tracing::warn!(correlation_id, "an activity could not be recorded: {error}");
        }
    }
}
