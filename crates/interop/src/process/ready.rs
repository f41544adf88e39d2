//! Whether a gateway takes connections.

use std::time::Duration;

use crate::wire::{ConnectAs, Refusal, Wire, WireError};

/// One probe. A gateway that loads its plugins answers late; 20 s is far above the measured times.
const PROBE_DEADLINE: Duration = Duration::from_secs(20);

/// The result of one probe.
#[derive(Debug)]
pub(super) enum Probe {
    /// A `connect` was accepted.
    Ready,
    /// Nothing listens yet, or the gateway says that it is starting.
    NotYet,
    /// The gateway refuses for good: waiting does not help.
    Refused(Refusal),
}

/// Connects once as the local backend client with `token`.
pub(super) async fn probe(url: &str, token: &str) -> Probe {
    let who = ConnectAs::backend().token(token).scopes(&["operator.read"]);
    match connect(url, &who).await {
        Ok(Ok(())) => Probe::Ready,
        Ok(Err(refusal)) if !refusal.is_retryable() => Probe::Refused(refusal),
        // Refused connections, 503 on the upgrade, a close in the middle: all seen while starting.
        Ok(Err(_)) | Err(_) => Probe::NotYet,
    }
}

async fn connect(url: &str, who: &ConnectAs<'_>) -> Result<Result<(), Refusal>, WireError> {
    let mut wire = Wire::open(url, PROBE_DEADLINE).await?;
    let answer = wire.connect(who, PROBE_DEADLINE).await?;
    if answer.is_ok() {
        drop(wire.close(PROBE_DEADLINE).await);
    }
    Ok(answer.map(drop))
}
