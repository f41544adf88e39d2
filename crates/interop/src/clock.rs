//! The one place of this crate that reads the machine's clocks.
//!
//! A runner that drives foreign processes has real deadlines and real time stamps; everything
//! else here takes its instants from these two functions, so that the rest stays easy to audit.

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
