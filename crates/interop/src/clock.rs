//! The one place of this crate that reads the machine's clocks.
//!
//! A runner that drives foreign processes has real deadlines and real time stamps; everything
//! else here takes its instants from these functions, so that the rest stays easy to audit.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The current instant of the monotonic clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the runner waits for real processes, so it needs the real clock; read only here"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Time since the Unix epoch, zero when the machine's clock stands before it.
#[expect(
    clippy::disallowed_methods,
    reason = "the fake model and the device signature carry real time stamps; read only here"
)]
pub fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Today's date in UTC, as `2026-11-25`.
pub fn today() -> String {
    let seconds = i64::try_from(since_epoch().as_secs()).unwrap_or_default();
    let now = time::OffsetDateTime::from_unix_timestamp(seconds);
    now.unwrap_or(time::OffsetDateTime::UNIX_EPOCH).date().to_string()
}
