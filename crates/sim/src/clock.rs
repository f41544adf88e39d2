//! Virtual time with a date that is the same in every run.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

use windlass::{Clock, TokioClock};

/// 2026-11-22T12:00:00Z, where simulated gateways begin, too.
const EPOCH: Duration = Duration::from_secs(1_795_348_800);

thread_local! {
    /// For how long the process was stopped in this run.
    static STOPPED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Stops the process for so long, as SIGSTOP does.
pub(crate) async fn jump(time: Duration) {
    STOPPED.set(STOPPED.get().saturating_add(time));
    tokio::time::advance(time).await;
}

/// For how long the process was stopped so far, in this run and others of the thread.
pub(crate) fn stopped() -> Duration {
    STOPPED.get()
}

/// The runtime's clock, which counts from [`EPOCH`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorldClock {
    tokio: TokioClock,
    start: Instant,
}

impl WorldClock {
    /// Starts now.
    pub(crate) fn start() -> Self {
        let tokio = TokioClock::start();
        let start = tokio.now();
        Self { tokio, start }
    }

    /// Since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now().saturating_duration_since(self.start)
    }
}

impl Clock for WorldClock {
    fn now(&self) -> Instant {
        self.tokio.now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + EPOCH + self.elapsed()
    }
}
