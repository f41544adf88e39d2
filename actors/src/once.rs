//! Messages that must reach an agent once: sent under a key that is on record before the first attempt.

use std::time::Duration;

use windlass_protocol::{RetryPolicy, SessionKey};

use crate::clock::Clock;
use crate::control_plane::{ControlError, ControlPlane, Outgoing};

/// What marks a message in a history that keeps no keys (before 2026.6.11).
pub(crate) fn reference(key: &str) -> &str {
    key
}

/// A message that is sent once.
pub(crate) struct Once<'a> {
    pub(crate) key: &'a SessionKey,
    pub(crate) text: &'a str,
    pub(crate) deliver: bool,
    /// On record since before the first attempt.
    pub(crate) idempotency_key: &'a str,
    /// Whether there was an attempt before, whose end nobody knows.
    pub(crate) tried_before: bool,
}

/// Sends it, unless it was; decides by the session's history whenever an attempt ends without an answer.
///
/// # Errors
/// The last one, when the budget is used up or trying again makes no sense.
pub(crate) async fn send_once(
    clock: &dyn Clock,
    policy: RetryPolicy,
    plane: &dyn ControlPlane,
    message: Once<'_>,
) -> Result<(), ControlError> {
    let start = clock.now();
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
        // What the gateway asks for is never undercut; where the budget does not reach that far, that was it.
        let pause = error.retry_after().map_or(wait, |asked| asked.max(wait));
        let elapsed = clock.now().saturating_duration_since(start);
        if !error.is_transient() || elapsed.saturating_add(pause) >= policy.budget {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
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
