//! The gateway's clock: wall milliseconds derived from tokio time, so that paused virtual time works.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

pub(crate) use crate::net::now;

/// Turns tokio time into the millisecond stamps that frames carry.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    epoch_ms: u64,
    skew_ms: AtomicI64,
}

impl Clock {
    pub(crate) fn new(epoch_ms: u64) -> Self {
        Self {
            start: now(),
            epoch_ms,
            skew_ms: AtomicI64::new(0),
        }
    }

    /// Time since the gateway object was made; not touched by [`skew`](Self::skew).
    pub(crate) fn elapsed(&self) -> Duration {
        now().saturating_duration_since(self.start)
    }

    /// The wall clock as this gateway believes it to be, in milliseconds.
    pub(crate) fn wall_ms(&self) -> u64 {
        let elapsed = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.epoch_ms
            .saturating_add(elapsed)
            .saturating_add_signed(self.skew_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn skew(&self, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
    }
}
