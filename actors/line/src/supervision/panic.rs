//! Panics, caught and counted.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::task::JoinError;

use super::{Intensity, IntensityPolicy};
use windlass_protocol::time::after;

use crate::telemetry;

/// The message of a panic. Cut, since it goes into logs and statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic(String);

impl Panic {
    const LONGEST: usize = 200;

    pub(crate) fn new(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Self(text.chars().take(Self::LONGEST).collect())
    }

    /// That of a task; nothing where it was only aborted.
    pub(crate) fn of_task(error: JoinError) -> Option<Self> {
        error.try_into_panic().ok().map(|payload| Self::new(&*payload))
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Panic> for String {
    fn from(panic: Panic) -> Self {
        panic.0
    }
}

/// Runs a future to its end, be that a panic. State that it shares must be whole after a panic at any await: cells that are
/// borrowed for one step only, locks that forgive poison.
///
/// # Errors
/// The panic.
pub async fn guarded<F: Future>(future: F) -> Result<F::Output, Panic> {
    let end = AssertUnwindSafe(future).catch_unwind().await;
    end.map_err(|payload| Panic::new(&*payload))
}

/// The panics of one thing that is started again after each.
#[derive(Debug)]
pub struct Restarts {
    what: &'static str,
    intensity: Intensity,
}

/// The step after a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// How long it rests before it is started again.
    pub delay: Duration,
    /// Panics within the window, where those are too many.
    pub degraded: Option<usize>,
}

impl Restarts {
    /// The rest after a panic. It keeps a bug that strikes at once from burning a core.
    pub const REST: Duration = Duration::from_secs(1);

    /// Nothing has panicked yet. The name is a label of the metric: a fixed one.
    pub fn of(what: &'static str) -> Self {
        Self {
            what,
            intensity: Intensity::default(),
        }
    }

    /// Counts and reports a panic.
    pub fn panicked(&mut self, now: Instant, panic: &Panic) -> Rest {
        let policy = IntensityPolicy::default();
        let degraded = self.intensity.failed(now, &policy);
        let delay = if degraded.is_some() { policy.rest } else { Self::REST };
        let (what, rest_s) = (self.what, delay.as_secs());
        telemetry::restarted(what);
        tracing::error!(what, rest_s, ?degraded, "panicked, and is started again: {panic}");
        Rest { delay, degraded }
    }
}

/// Runs something, and runs it again after each panic and a rest, until it ends by itself.
pub async fn keep_running<F: Future>(
    what: &'static str,
    now: impl Fn() -> Instant,
    mut run: impl FnMut() -> F,
) -> F::Output {
    let mut restarts = Restarts::of(what);
    loop {
        match guarded(run()).await {
            Ok(end) => return end,
            Err(panic) => {
                let rest = restarts.panicked(now(), &panic);
                crate::clock::sleep_until(after(now(), rest.delay)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock as _;

    #[tokio::test(start_paused = true)]
    async fn what_panics_is_run_again_after_a_rest_and_after_a_long_one_when_that_is_too_often() {
        let clock = crate::TokioClock::start();
        let start = clock.now();
        let mut begun = Vec::new();
        let mut left = 7;
        let end = keep_running(
            "test",
            || clock.now(),
            || {
                begun.push((clock.now() - start).as_secs());
                left -= 1;
                let ends = left == 0;
                async move {
                    assert!(ends, "not yet");
                    "done"
                }
            },
        )
        .await;
        assert_eq!(end, "done");
        assert_eq!(begun, [0, 1, 2, 3, 4, 5, 35]);
    }

    #[tokio::test]
    async fn a_panic_says_what_it_said_and_no_more_than_fits() {
        let long = "x".repeat(1000);
        let panic = guarded(async move { panic!("{long}") }).await.unwrap_err();
        assert_eq!(panic.to_string().len(), Panic::LONGEST);
        let odd = guarded(async { std::panic::panic_any(7) }).await.unwrap_err();
        assert_eq!(odd.to_string(), "no message");
    }
}
