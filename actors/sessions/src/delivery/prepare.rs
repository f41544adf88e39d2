//! The facts that are needed before a message goes out.

use std::sync::Arc;
use std::time::Duration;

use windlass_line::LineStatus;
use windlass_protocol::connection::{Continuity, Resend};
use windlass_protocol::releases::runs as rules;
use windlass_protocol::request::ChatHistory;
use windlass_protocol::run::{GatewayFacts, RunConfig, SentBefore};
use windlass_protocol::{CallError, ErrorClass, Generation, KEY_MEMORY_SECONDS, SessionKeySpace};

use super::{ANSWER, Delivery};
use crate::client::GatewayClient;
use crate::error::AskError;
use crate::outbox::GatewayIncarnation;

/// Rows in which the last one of a user is looked for: more than the steps of most turns.
const BASELINE_ROWS: u32 = 50;
/// The pause before they are asked for again.
const BASELINE_PAUSE: Duration = Duration::from_secs(1);

/// Earlier attempts at a message.
#[derive(Debug)]
pub(crate) struct EarlierAttempts {
    /// How long ago the first one was.
    pub(crate) ago: Duration,
    /// Whether something showed that the gateway had taken the message.
    pub(crate) accepted: bool,
    /// Rows of users that were stamped earlier are not this message's.
    pub(crate) since_ms: Option<u64>,
    /// The gateway processes that may have it.
    pub(crate) lives: Vec<GatewayIncarnation>,
}

impl Default for EarlierAttempts {
    /// Nothing but that there were some.
    fn default() -> Self {
        Self {
            ago: Duration::from_secs(KEY_MEMORY_SECONDS),
            accepted: false,
            since_ms: None,
            lives: vec![GatewayIncarnation::default()],
        }
    }
}

/// A line that is up.
pub(super) struct Ready {
    pub(super) generation: Generation,
    facts: GatewayFacts,
    life: GatewayIncarnation,
    space: SessionKeySpace,
}

impl Delivery<'_> {
    /// Waits for the line, and reads the facts that are needed before a message goes out. The facts of the line are true when
    /// this returns. Nothing when the line was closed.
    pub(super) async fn prepare(&mut self, prior: Option<&EarlierAttempts>) -> Option<(Ready, Option<u64>)> {
        let line = &*self.message.line;
        let status = line.watched_status();
        let mut baseline = prior.map(|prior| prior.since_ms);
        loop {
            let mut ready = self.ready(&status.until(LineStatus::is_up).await?);
            // Before anything is read of it: who was met only now may have spelled the session in another way.
            if let Some(turn) = &mut self.turn {
                self.state
                    .session_locks
                    .respell(turn, line, &self.message.session)
                    .await;
            }
            if let Some(since_ms) = baseline {
                return Some((ready, since_ms));
            }
            match self.baseline(&mut ready.facts).await {
                Ok(since_ms) => {
                    baseline = Some(since_ms);
                    self.state.learned(self.message.line.id(), ready.facts);
                }
                // A line that broke, or a gateway that drains, takes no message either.
                Err(error) if passes(&error) => tokio::time::sleep(BASELINE_PAUSE).await,
                // Without the right to read the history, the gateway's events have to do.
                Err(_) => baseline = Some(None),
            }
        }
    }

    fn ready(&self, status: &LineStatus) -> Ready {
        let hello = status.hello.as_deref();
        let fresh = hello.map_or(GatewayFacts::of_protocol(3), GatewayFacts::of);
        Ready {
            generation: status.generation,
            facts: self.state.facts(&status.id, fresh),
            life: GatewayIncarnation::of(status),
            space: status.key_space(),
        }
    }

    pub(super) fn config(
        &self,
        ready: &Ready,
        prior: Option<EarlierAttempts>,
        since_ms: Option<u64>,
        give_up: Duration,
    ) -> RunConfig {
        let message = self.message;
        let (session, key) = (message.session.clone(), self.place.key.as_str());
        let mut config = RunConfig::new(session, key, &message.text, ready.facts);
        config.space = ready.space.clone();
        config.resend = message.resend;
        config.limits.give_up = give_up;
        config.limits.sends = message.sends.unwrap_or(config.limits.sends);
        config.since_ms = since_ms;
        config.sent_before = prior.is_some();
        if let Some(prior) = prior {
            config.earlier = SentBefore {
                ago: prior.ago,
                accepted: prior.accepted,
                life: compare(&ready.life, &prior.lives),
            };
        }
        config
    }

    /// The stamp that a row of this message must have at least, by the gateway's clock: one more than that of the last row of a
    /// user. Only where rows of users carry no keys, and a text may be there twice.
    async fn baseline(&self, facts: &mut GatewayFacts) -> Result<Option<u64>, AskError> {
        if facts.keys_in_history == Some(true) {
            return Ok(None);
        }
        let client = GatewayClient::new(Arc::clone(&self.message.line)).with_timeout(ANSWER);
        let request = ChatHistory::new(self.message.session.as_str()).limit(BASELINE_ROWS);
        let rows = client.ask(&request, Resend::Always).await?.messages;
        let users = || rows.iter().filter(|row| row.role.as_deref() == Some("user"));
        if users().any(|row| rules::row_key(row).is_some()) {
            facts.keys_in_history = Some(true);
            return Ok(None);
        }
        let last = |rows: &mut dyn Iterator<Item = Option<u64>>| rows.flatten().max();
        let of_users = last(&mut users().map(|row| row.timestamp)).map(|at| at + 1);
        let of_all = || last(&mut rows.iter().map(|row| row.timestamp)).unwrap_or(0);
        Ok(Some(of_users.unwrap_or_else(of_all)))
    }
}

/// Whether the failure is a passing one.
fn passes(error: &AskError) -> bool {
    match error {
        AskError::Call(CallError::Rejected(rejected)) => rejected.error.class() == ErrorClass::Transient,
        AskError::Call(_) => true,
        AskError::Shape { .. } => false,
    }
}

/// The worst that is known of the processes that may have the message.
fn compare(now: &GatewayIncarnation, lives: &[GatewayIncarnation]) -> Continuity {
    let mut worst = Continuity::Same;
    for life in lives {
        match now.since(life) {
            Continuity::Restarted => return Continuity::Restarted,
            Continuity::Unknown => worst = Continuity::Unknown,
            Continuity::Same => {}
        }
    }
    worst
}
