//! How long to wait before the next attempt to connect.

use std::time::{Duration, Instant};

use rand::{Rng, RngExt as _};

use crate::time::scaled;

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
    /// Highest upper end of an old outage; the reference client uses 30 s.
    pub cap: Duration,
    /// How long a connection has to stay up for the ladder to start again from [`base`](Self::base).
    pub healthy_after: Duration,
    /// How long a connection has to stay up for the outage after it to be a new, young one. A gateway that lets a line in
    /// and serves it is not overloaded, however short the line stays: an answer takes 1 to 80 ms (two releases).
    pub served_after: Duration,
    /// Highest upper end of an old outage while the gateway lets the line in, and cuts it before
    /// [`served_after`](Self::served_after): such a gateway answers, but a handshake costs it a signature each.
    pub let_in_cap: Duration,
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(100),
            young_cap: Duration::from_millis(800),
            young_for: Duration::from_secs(120),
            cap: Duration::from_secs(30),
            healthy_after: Duration::from_secs(10),
            served_after: Duration::from_millis(500),
            let_in_cap: Duration::from_secs(5),
        }
    }
}

/// The ladder of one line. Lives across its connections.
#[derive(Debug, Clone)]
pub struct Backoff {
    policy: BackoffPolicy,
    attempt: u32,
    outage_since: Option<Instant>,
    /// The attempt that ended last had reached hello-ok.
    let_in: bool,
}

impl Backoff {
    /// A ladder at its foot.
    pub const fn new(policy: BackoffPolicy) -> Self {
        Self {
            policy,
            attempt: 0,
            outage_since: None,
            let_in: false,
        }
    }

    /// The delay before the next attempt, after one more failure at `now`.
    ///
    /// `floor` is the wait that the gateway asked for (`retryAfterMs`): the delay is never shorter.
    pub fn next_delay(&mut self, now: Instant, floor: Option<Duration>, rng: &mut (impl Rng + ?Sized)) -> Duration {
        let since = *self.outage_since.get_or_insert(now);
        let young = now.saturating_duration_since(since) < self.policy.young_for;
        let cap = match (young, std::mem::take(&mut self.let_in)) {
            (true, _) => self.policy.young_cap,
            (false, true) => self.policy.let_in_cap,
            (false, false) => self.policy.cap,
        };
        let upper = self.policy.base.saturating_mul(1 << self.attempt.min(20)).min(cap);
        self.attempt = self.attempt.saturating_add(1);
        let drawn = scaled(upper, rng.random_range(0.0..=1.0));
        floor.map_or(drawn, |floor| floor.max(drawn))
    }

    /// Tells that a connection ended after being up for `uptime`. A healthy stretch resets the ladder; a shorter one on which
    /// calls were served begins a new outage on the rung where the last one was.
    pub fn after_uptime(&mut self, uptime: Duration) {
        self.let_in = true;
        if uptime >= self.policy.healthy_after {
            self.reset();
        } else if uptime >= self.policy.served_after {
            self.outage_since = None;
        }
    }

    /// Whether a connection that was up for `uptime` had a healthy stretch.
    pub fn is_healthy(&self, uptime: Duration) -> bool {
        uptime >= self.policy.healthy_after
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
    use crate::time::FAR_FUTURE;

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

    /// Attempts in a minute, and the part of the time that the line is up, late in an outage in which the gateway lets the line
    /// in and cuts it `uptime` later each time.
    fn under_cuts(uptime: Duration) -> (u32, f64) {
        let (mut backoff, start, mut rng) = ladder();
        let (mut now, late) = (start, Duration::from_secs(300));
        let (mut attempts, mut up) = (0, Duration::ZERO);
        let minutes = 100_u32;
        while now < start + late + Duration::from_secs(60) * minutes {
            now += uptime;
            backoff.after_uptime(uptime);
            if now > start + late {
                attempts += 1;
                up += uptime;
            }
            now += backoff.next_delay(now, None, &mut rng);
        }
        (attempts / minutes, up.as_secs_f64() / (60.0 * f64::from(minutes)))
    }

    #[test]
    fn a_gateway_that_lets_the_line_in_is_tried_again_soon_and_never_hammered() {
        let (attempts, up) = under_cuts(Duration::from_secs(1));
        assert!((40..=46).contains(&attempts) && up > 0.68, "{attempts} {up}");
        let (attempts, up) = under_cuts(Duration::from_millis(500));
        assert!((60..=70).contains(&attempts) && up > 0.5, "{attempts} {up}");
        let (attempts, _) = under_cuts(Duration::ZERO);
        assert!((20..=28).contains(&attempts), "{attempts}");
    }

    #[test]
    fn delays_have_an_end_whatever_the_policy() {
        let extreme = [Duration::ZERO, Duration::from_nanos(1), FAR_FUTURE, Duration::MAX];
        let (_, start, mut rng) = ladder();
        for value in extreme {
            for other in extreme {
                let mut backoff = Backoff::new(BackoffPolicy {
                    base: value,
                    young_cap: other,
                    young_for: value,
                    cap: other,
                    healthy_after: value,
                    served_after: other,
                    let_in_cap: value,
                });
                for uptime in extreme {
                    backoff.after_uptime(uptime);
                    assert!(backoff.next_delay(start, None, &mut rng) <= FAR_FUTURE);
                    assert!(backoff.next_delay(start, Some(other), &mut rng) >= other);
                }
            }
        }
    }
}
