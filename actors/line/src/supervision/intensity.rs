//! How many failures are too many.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many failures of one actor are too many, and the consequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntensityPolicy {
    /// Failures within [`window`](Self::window) that are still restarted after the ordinary backoff.
    pub failures: usize,
    /// The window.
    pub window: Duration,
    /// How long a degraded actor rests before each further restart.
    pub rest: Duration,
}

impl Default for IntensityPolicy {
    /// Five failures a minute: a bug that strikes with each event is seen at once, one that strikes now and then is
    /// not. A rest of 30 s keeps a broken line from burning a core and still lets it heal by itself.
    fn default() -> Self {
        Self {
            failures: 5,
            window: Duration::from_secs(60),
            rest: Duration::from_secs(30),
        }
    }
}

/// The failures of one actor within a sliding window. Disconnects are no failures; panics are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Intensity {
    failures: VecDeque<Instant>,
}

impl Intensity {
    /// Counts a failure. Returns how many the window holds if that is too many.
    pub(crate) fn failed(&mut self, now: Instant, policy: &IntensityPolicy) -> Option<usize> {
        self.failures.push_back(now);
        while self
            .failures
            .front()
            .is_some_and(|&first| now.saturating_duration_since(first) > policy.window)
        {
            self.failures.pop_front();
        }
        // One more than the bound is enough to know that it is exceeded.
        while self.failures.len() > policy.failures + 1 {
            self.failures.pop_front();
        }
        (self.failures.len() > policy.failures).then_some(self.failures.len())
    }

    /// Forgets everything: a fresh start was ordered.
    pub(crate) fn reset(&mut self) {
        self.failures.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: IntensityPolicy = IntensityPolicy {
        failures: 2,
        window: Duration::from_secs(10),
        rest: Duration::from_secs(1),
    };

    #[test]
    fn too_many_failures_in_the_window_are_told_and_age_out() {
        #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
        let start = Instant::now();
        let mut intensity = Intensity::default();
        let at = |seconds| start + Duration::from_secs(seconds);
        let told: Vec<_> = [0, 1, 2, 3, 30]
            .map(|second| intensity.failed(at(second), &POLICY))
            .into();
        assert_eq!(told, [None, None, Some(3), Some(3), None]);
        intensity.reset();
        assert_eq!(intensity.failed(at(31), &POLICY), None);
    }
}
