//! When a gateway accepts again, seen from beside the product.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::ExposeSecret as _;

use super::UP;
use crate::{
    clock,
    process::RealGateway,
    scenario::Failure,
    wire::{ConnectAs, Refusal, Wire, WireError},
};

/// Pause of the probe: the error of what is measured with it.
const PROBE_PAUSE: Duration = Duration::from_millis(20);

/// Waits until a raw `connect` is accepted and tells when that was, as time since the Unix epoch.
async fn accepted_at(url: &str, token: &str) -> Result<Duration, Failure> {
    let who = ConnectAs::backend().token(token).scopes(&["operator.read"]);
    let search = async {
        while !matches!(attempt(url, &who).await, Ok(Ok(()))) {
            tokio::time::sleep(PROBE_PAUSE).await;
        }
        clock::since_epoch()
    };
    let found = tokio::time::timeout(UP, search).await;
    found.map_err(|_| Failure::new(format!("the gateway accepted nobody within {} s", UP.as_secs())))
}

async fn attempt(url: &str, who: &ConnectAs<'_>) -> Result<Result<(), Refusal>, WireError> {
    let mut wire = Wire::open(url, UP).await?;
    Ok(wire.connect(who, UP).await?.map(drop))
}

/// Starts `real` again, and tells when it first accepted a raw `connect`.
pub(in super::super) async fn start_measured(real: &mut RealGateway) -> Result<Duration, Failure> {
    let (url, token) = (real.url().to_owned(), real.token().clone());
    let (started, accepted) = tokio::join!(real.start_again(), accepted_at(&url, token.expose_secret()));
    started?;
    accepted
}

/// A time of day as time since the Unix epoch.
pub(in super::super) fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Milliseconds from `earlier` to `later`; negative when it was the other way round.
pub(in super::super) fn millis_between(earlier: Duration, later: Duration) -> i128 {
    let whole = |time: Duration| i128::try_from(time.as_millis()).unwrap_or(i128::MAX);
    whole(later) - whole(earlier)
}
