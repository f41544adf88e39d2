//! Changes of a gateway that it takes a moment to work with: agents that it does not know yet, and turns of the configuration.
//!
//! For `agents.create`, `agents.update` and `agents.delete` a gateway takes the configuration that it works with, changes
//! it and writes it to its file. Of several at the same time only the last one stays, though each is answered with ok: of
//! four agents one was left on 2026.3.13. And where a gateway hears of its own change later (after 0.6 s on 2026.2.26),
//! one that comes before that undoes the one before. So each keeps its turn until the gateway works with its change.

use super::OpenClaw;
use crate::control_plane::{ControlError, ControlResult, ResourceKind};
use std::time::Duration;
use tokio::sync::MutexGuard;
use windlass_protocol::connection::Resend;
use windlass_protocol::releases;
use windlass_protocol::request::{AgentsFilesList, AgentsList, AgentsListReply, Request};
use windlass_protocol::{AgentId, CallError};

/// How long an agent that was just made may be unknown: 0.3 s and 0.6 s were seen on 2026.9.6 and 2026.2.26.
const SETTLE_FIRST: Duration = Duration::from_millis(500);
/// The waits double up to this.
const SETTLE_CAP: Duration = Duration::from_secs(4);
/// Tries after the first one: 11.5 s in all.
pub(crate) const SETTLE_TRIES: u32 = 5;

/// Shortest line of a sent text that is looked for in the answer: shorter ones would be found by chance.
const ECHO_LINE: usize = 12;

/// The wait before the n-th further try, from 1.
pub(crate) fn settle_delay(attempt: u32) -> Duration {
    SETTLE_FIRST
        .saturating_mul(1 << attempt.saturating_sub(1).min(16))
        .min(SETTLE_CAP)
}

impl OpenClaw {
    /// Makes a request and decodes its answer. The client retries.
    pub(crate) async fn ask<R: Request + Sync>(&self, request: &R, resend: Resend) -> ControlResult<R::Reply> {
        Ok(self.client().ask(request, resend).await?)
    }

    /// Makes a request about an agent, and again while the gateway does not know the agent although it should: it takes
    /// a moment to hear of its own new agents. `fresh` says that it should; otherwise the configuration is asked.
    pub(crate) async fn ask_about<R: Request + Sync>(
        &self,
        id: &AgentId,
        fresh: bool,
        request: &R,
        resend: Resend,
    ) -> ControlResult<R::Reply> {
        let mut unknown = 0;
        loop {
            match self.ask(request, resend).await {
                Err(ControlError::Rejected(rejected)) if releases::agent_unknown(&rejected.error) => {
                    self.agent_settles(id, fresh, &mut unknown).await?;
                }
                other => return other,
            }
        }
    }

    /// Waits for a gateway that did not know an agent. `unknown` counts how often it did not.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], when it has no such agent, or had time enough to hear of it.
    pub(crate) async fn agent_settles(&self, id: &AgentId, fresh: bool, unknown: &mut u32) -> ControlResult<()> {
        *unknown += 1;
        let expected = *unknown <= SETTLE_TRIES && (fresh || *unknown > 1 || self.is_configured(id).await?);
        if !expected {
            tracing::debug!(gateway = %self.line().id(), agent = %id, "the agent is not known");
            return Err(ControlError::NotFound(ResourceKind::Agent(id.to_string())));
        }
        tokio::time::sleep(settle_delay(*unknown)).await;
        Ok(())
    }
}

/// Takes a gateway's text out of an error where it repeats our request: that may hold an agent's token.
pub(crate) fn without_echo(error: ControlError, sent: &str) -> ControlError {
    let ControlError::Rejected(mut rejected) = error else {
        return error;
    };
    let told = &mut rejected.error;
    let details = told.details.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut lines = sent.lines().map(str::trim).filter(|line| line.len() >= ECHO_LINE);
    if lines.any(|line| told.message.contains(line) || details.contains(line)) {
        "refused, in a text that repeats what was sent and is left out here".clone_into(&mut told.message);
        told.details = None;
    }
    ControlError::Rejected(rejected)
}

/// The waits between looks, in milliseconds: four times the longest that was seen. After them the turn ends anyway.
const LOOKS: [u64; 6] = [0, 100, 200, 400, 800, 1000];

/// The right to change the configuration.
pub(crate) struct ConfigGuard<'a>(MutexGuard<'a, ()>);

/// The state that the gateway has to show at the end of a turn.
#[derive(Clone, Copy)]
pub(crate) enum ExpectedState<'a> {
    /// The agent is there.
    Made,
    /// It has this name.
    Named(&'a str),
    /// It is gone.
    Gone,
}

impl OpenClaw {
    pub(crate) async fn config_turn(&self) -> ConfigGuard<'_> {
        ConfigGuard(self.config_turn.lock().await)
    }

    /// Ends a turn when the gateway works with its change.
    pub(crate) async fn end_turn(&self, turn: ConfigGuard<'_>, id: &AgentId, wanted: ExpectedState<'_>) {
        for wait in LOOKS {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            if self.works_with(id, wanted).await != Some(false) {
                break;
            }
        }
        drop(turn.0);
    }

    /// `None` where it can't be told: the next call waits for the gateway, or fails with the reason.
    async fn works_with(&self, id: &AgentId, wanted: ExpectedState<'_>) -> Option<bool> {
        let ExpectedState::Named(name) = wanted else {
            // Not `agents.list`: that has agents whose folders are there, too (2026.2.26).
            let there = match self
                .client()
                .ask_once(&AgentsFilesList::new(id.as_str()), Resend::Always)
                .await
            {
                Ok(_) => true,
                Err(CallError::Rejected(rejected)) if releases::agent_unknown(&rejected.error) => false,
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
