//! How long to wait before the next attempt to connect.

use std::time::{Duration, Instant};

use rand::{Rng, RngExt as _};

/// The knobs of [`Backoff`]. All delays are upper ends: the delay itself is drawn evenly from zero to there
/// ("full jitter"), so that a fleet that lost one gateway does not come back in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffPolicy {
    /// Upper end of the first delay.
    pub base: Duration,
    /// Highest upper end while the outage is young: a line is up this long, and a handshake (10 to 80 ms, measured on
    /// two releases), after its gateway accepts again.
    pub young_cap: Duration,
    /// How long an outage counts as young. A gateway process needs 3 to 30 s to start (nine releases of 2026).
    pub young_for: Duration,
    /// Highest upper end of an old outage; 30 s is what the reference client uses.
    pub cap: Duration,
    /// How long a connection has to stay up for the ladder to start again from [`base`](Self::base).
    pub healthy_after: Duration,
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(100),
            young_cap: Duration::from_millis(800),
            young_for: Duration::from_secs(120),
            cap: Duration::from_secs(30),
            healthy_after: Duration::from_secs(10),
        }
    }
}

/// The ladder of one line. Lives across its connections.
#[derive(Debug, Clone)]
pub struct Backoff {
    policy: BackoffPolicy,
    attempt: u32,
    outage_since: Option<Instant>,
}

impl Backoff {
    /// A ladder at its foot.
    pub const fn new(policy: BackoffPolicy) -> Self {
        Self {
            policy,
            attempt: 0,
            outage_since: None,
        }
    }

    /// The delay before the next attempt, after one more failure at `now`.
    ///
    /// `floor` is what the gateway asked for (`retryAfterMs`): the delay is never shorter.
    pub fn next_delay(&mut self, now: Instant, floor: Option<Duration>, rng: &mut (impl Rng + ?Sized)) -> Duration {
        let since = *self.outage_since.get_or_insert(now);
        let young = now.saturating_duration_since(since) < self.policy.young_for;
        let cap = if young { self.policy.young_cap } else { self.policy.cap };
        let upper = self.policy.base.saturating_mul(1 << self.attempt.min(20)).min(cap);
        self.attempt = self.attempt.saturating_add(1);
        let drawn = upper.mul_f64(rng.random_range(0.0..=1.0));
        floor.map_or(drawn, |floor| floor.max(drawn))
    }

    /// Tells that a connection ended after being up for `uptime`; resets the ladder if that was a healthy stretch.
    pub fn after_uptime(&mut self, uptime: Duration) {
        if uptime >= self.policy.healthy_after {
            self.reset();
        }
    }

    /// Starts again from the foot: an operator asked, or the credentials changed.
    pub const fn reset(&mut self) {
        self.attempt = 0;
        self.outage_since = None;
    }

    /// Failures since the ladder was at its foot.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn ladder() -> (Backoff, Instant, StdRng) {
        #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
        let start = Instant::now();
        (Backoff::new(BackoffPolicy::default()), start, StdRng::seed_from_u64(7))
    }

    /// The largest delay of many draws at each rung.
    fn ceilings(now: impl Fn(Instant, u32) -> Instant) -> Vec<u128> {
        let (fresh, start, mut rng) = ladder();
        let mut highest = vec![0; 12];
        for _ in 0..2000 {
            let mut backoff = fresh.clone();
            for (rung, top) in (0u32..).zip(&mut highest) {
                let delay = backoff.next_delay(now(start, rung), None, &mut rng).as_millis();
                *top = delay.max(*top);
            }
        }
        highest
    }

    #[test]
    fn delays_double_up_to_the_cap_of_a_young_outage() {
        let highest = ceilings(|start, _| start);
        for (rung, upper) in [(0, 100), (1, 200), (2, 400), (3, 800), (4, 800), (11, 800)] {
            assert!(
                highest[rung] <= upper && highest[rung] * 100 >= upper * 97,
                "{rung}: {highest:?}"
            );
        }
    }

    #[test]
    fn an_old_outage_is_polled_up_to_every_thirty_seconds() {
        let highest = ceilings(|start, rung| start + Duration::from_secs(120) * rung.min(1));
        assert!((29_000..=30_000).contains(&highest[11]), "{highest:?}");
    }

    #[test]
    fn what_the_gateway_asks_for_is_never_undercut() {
        let (mut backoff, start, mut rng) = ladder();
        let floor = Duration::from_secs(46);
        assert_eq!(backoff.next_delay(start, Some(floor), &mut rng), floor);
    }

    #[test]
    fn only_a_healthy_stretch_resets_the_ladder() {
        let (mut backoff, start, mut rng) = ladder();
        for _ in 0..5 {
            backoff.next_delay(start, None, &mut rng);
        }
        backoff.after_uptime(Duration::from_millis(9_999));
        assert_eq!(backoff.attempt(), 5);
        backoff.after_uptime(Duration::from_secs(10));
        assert_eq!(backoff.attempt(), 0);
    }
}
