//! Changes of a gateway's configuration take turns.
//!
//! For `agents.create`, `agents.update` and `agents.delete` a gateway takes the configuration that it works with, changes
//! it and writes it to its file. Of several at the same time only the last one stays, though each is answered with ok: of
//! four agents one was left on 2026.3.13. And where a gateway hears of its own change later (after 0.6 s on 2026.2.26),
//! one that comes before that undoes the one before. So each keeps its turn until the gateway works with what it did.

use std::time::Duration;

use tokio::sync::MutexGuard;
use windlass_protocol::connection::Resend;
use windlass_protocol::request::{AgentsFilesList, AgentsList, AgentsListReply};
use windlass_protocol::{AgentId, CallError};
use windlass_sessions::refusals;

use super::OpenClaw;

/// The waits between looks, in milliseconds: four times the longest that was seen. What is not shown then is not waited for.
const LOOKS: [u64; 6] = [0, 100, 200, 400, 800, 1000];

/// The right to change the configuration.
pub(super) struct ConfigGuard<'a>(MutexGuard<'a, ()>);

/// What the gateway is to work with at the end of a turn.
#[derive(Clone, Copy)]
pub(super) enum ExpectedState<'a> {
    /// The agent is there.
    Made,
    /// It has this name.
    Named(&'a str),
    /// It is gone.
    Gone,
}

impl OpenClaw {
    pub(super) async fn config_turn(&self) -> ConfigGuard<'_> {
        ConfigGuard(self.config_turn.lock().await)
    }

    /// Ends a turn when the gateway works with what was done in it.
    pub(super) async fn end_turn(&self, turn: ConfigGuard<'_>, id: &AgentId, wanted: ExpectedState<'_>) {
        for wait in LOOKS {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            if self.works_with(id, wanted).await != Some(false) {
                break;
            }
        }
        drop(turn.0);
    }

    /// Nothing, where it can't be told: whatever comes next waits for the gateway, or says what is wrong.
    async fn works_with(&self, id: &AgentId, wanted: ExpectedState<'_>) -> Option<bool> {
        let ExpectedState::Named(name) = wanted else {
            // Not `agents.list`: that has agents whose folders are there, too (2026.2.26).
            let there = match self
                .client()
                .ask_once(&AgentsFilesList::new(id.as_str()), Resend::Always)
                .await
            {
                Ok(_) => true,
                Err(CallError::Rejected(rejected)) if refusals::agent_unknown(&rejected.error) => false,
                Err(_) => return None,
            };
            return Some(there == matches!(wanted, ExpectedState::Made));
        };
        let raw = self.client().ask_once(&AgentsList::new(), Resend::Always).await.ok()?;
        let reply: AgentsListReply = raw.decode().ok()?;
        let row = reply.agents.into_iter().find(|row| row.id == id.as_str())?;
        Some(row.name.as_deref() == Some(name))
    }
}
