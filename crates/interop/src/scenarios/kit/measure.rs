//! When a gateway accepts again, seen from beside the product.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::ExposeSecret as _;

use windlass::{Gateway, LineState};

use super::{Bench, UP};
use crate::{
    clock,
    scenario::{Failure, check},
    wire::{ConnectAs, Refusal, Wire, WireError},
};

/// Pause of the probe: the error of its measurements.
const PROBE_PAUSE: Duration = Duration::from_millis(20);

/// How long a line may take to be up after its gateway accepts.
const BACK_WITHIN_MS: i128 = 1500;

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

/// A start of a killed gateway, as the line and a raw client saw it.
#[derive(Debug)]
pub(in super::super) struct Restart {
    /// From the first raw client that was accepted to the line being up; negative when the line
    /// was the first.
    lag_ms: i128,
    /// The part of it that is the line's own last attempt.
    attempt_ms: i128,
}

impl Restart {
    /// Starts the gateway again and waits until the line is up.
    pub(in super::super) async fn of(bench: &mut Bench) -> Result<Self, Failure> {
        let (url, token) = (bench.real.url().to_owned(), bench.real.token().clone());
        let gateway = bench.gateway.clone();
        let (started, accepted, line) = tokio::join!(
            bench.real.start_again(),
            accepted_at(&url, token.expose_secret()),
            up_again(&gateway),
        );
        started?;
        let (accepted, (began, up)) = (accepted?, line?);
        Ok(Self {
            lag_ms: millis_between(accepted, up),
            attempt_ms: millis_between(began, up),
        })
    }

    /// Fails when the line was later than it may be.
    pub(in super::super) fn check(&self) -> Result<(), Failure> {
        check(self.lag_ms <= BACK_WITHIN_MS, || {
            format!("the line was late: {}", self.tell())
        })
    }

    /// For the report.
    pub(in super::super) fn tell(&self) -> String {
        let Self { lag_ms, attempt_ms } = self;
        format!("up {lag_ms} ms after a raw client was accepted; the attempt took {attempt_ms} ms")
    }
}

/// When the attempt began that brought the line up, and when it was up.
async fn up_again(gateway: &Gateway) -> Result<(Duration, Duration), Failure> {
    let mut status = gateway.status();
    let mut began = Duration::ZERO;
    let watch = status.wait_for(|status| {
        if matches!(status.state, LineState::Connecting { .. }) {
            began = since_epoch(status.since);
        }
        status.is_up()
    });
    match tokio::time::timeout(UP, watch).await {
        Ok(Ok(up)) => Ok((began, since_epoch(up.since))),
        Ok(Err(_)) | Err(_) => Err(Failure::new("the line did not come up again")),
    }
}

/// A time of day as time since the Unix epoch.
fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Milliseconds from `earlier` to `later`; negative when it was the other way round.
fn millis_between(earlier: Duration, later: Duration) -> i128 {
    let whole = |time: Duration| i128::try_from(time.as_millis()).unwrap_or(i128::MAX);
    whole(later) - whole(earlier)
}
