//! Messages that must reach an agent once: sent under a key that is on record before the first attempt.

use std::time::Duration;

use windlass_protocol::{RetryPolicy, SessionKey};

use super::context::{Context, sleep};
use crate::control_plane::{ControlError, ControlPlane, Outgoing};

/// What marks a message in a history that keeps no keys (before 2026.6.11).
pub(super) fn reference(key: &str) -> &str {
    key
}

/// A message that is sent once.
pub(super) struct Once<'a> {
    pub(super) key: &'a SessionKey,
    pub(super) text: &'a str,
    pub(super) deliver: bool,
    /// On record since before the first attempt.
    pub(super) idempotency_key: &'a str,
    /// Whether there was an attempt before, whose end nobody knows.
    pub(super) tried_before: bool,
}

/// Sends it, unless it was; decides by the session's history whenever an attempt ends without an answer.
///
/// # Errors
/// The last one, when the budget is used up or trying again makes no sense.
pub(super) async fn send_once(ctx: &Context, plane: &dyn ControlPlane, message: Once<'_>) -> Result<(), ControlError> {
    let start = ctx.clock.now();
    let policy = RetryPolicy::PROVISIONING;
    let mut in_doubt = message.tried_before;
    let mut wait = policy.base;
    loop {
        if in_doubt && was_sent(plane, &message).await? {
            return Ok(());
        }
        let Err(error) = plane.send(&outgoing(&message)).await else {
            return Ok(());
        };
        in_doubt |= error.is_outcome_unknown();
        let elapsed = ctx.clock.now().saturating_duration_since(start);
        if !error.is_transient() || elapsed + wait >= policy.budget {
            return Err(error);
        }
        sleep(error.retry_after().map_or(wait, |asked| asked.max(wait))).await;
        wait = next(wait, policy.cap);
    }
}

fn next(wait: Duration, cap: Duration) -> Duration {
    wait.saturating_mul(2).min(cap)
}

async fn was_sent(plane: &dyn ControlPlane, message: &Once<'_>) -> Result<bool, ControlError> {
    let key = message.idempotency_key;
    plane.was_sent(message.key, key, reference(key)).await
}

fn outgoing(message: &Once<'_>) -> Outgoing {
    Outgoing {
        key: message.key.clone(),
        text: message.text.to_owned(),
        deliver: message.deliver,
        idempotency_key: message.idempotency_key.to_owned(),
    }
}
