//! When to try again: a call that failed for a passing reason, or to connect.
//!
//! [`RetryPolicy`] is for callers with time to spare, above the line's own re-sending: a gateway that drains, starts, or has had
//! enough writes for this minute says no now and yes later. Decided by types and codes only.
//! [`Backoff`] says how long a line waits before its next attempt to connect.

use std::time::{Duration, Instant};

use rand::{Rng, RngExt as _};

use crate::connection::Resend;
use crate::time::scaled;
use crate::{CallError, ErrorClass, NotSent};

/// How long, and how often, to try again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Over all attempts and the waits between them. An attempt is not begun after it.
    pub budget: Duration,
    /// The first wait.
    pub base: Duration,
    /// The longest wait; each is twice the one before.
    pub cap: Duration,
    /// How much a wait varies, as a part of it in both directions.
    pub jitter: f64,
}

impl RetryPolicy {
    /// For a message with a waiting sender: 45 s in all, waits of 0.5 s to 5 s, ±15 %.
    pub const COORDINATION: Self = Self {
        budget: Duration::from_secs(45),
        base: Duration::from_millis(500),
        cap: Duration::from_secs(5),
        jitter: 0.15,
    };

    /// For work in the background that outlasts a write limit or a restart: 10 min in all, waits of 0.75 s to 30 s, ±20 %.
    pub const PROVISIONING: Self = Self {
        budget: Duration::from_secs(600),
        base: Duration::from_millis(750),
        cap: Duration::from_secs(30),
        jitter: 0.2,
    };

    /// How long to wait before the next attempt; nothing when there should be none.
    ///
    /// `attempt` counts failed attempts, from 1; `elapsed` is since the first began. The gateway's own `retryAfterMs` is
    /// never undercut, however large it is, and ends the matter where the budget does not reach that far.
    pub fn next_delay(
        &self,
        error: &CallError,
        resend: Resend,
        attempt: u32,
        elapsed: Duration,
        rng: &mut (impl Rng + ?Sized),
    ) -> Option<Duration> {
        if !error.may_retry(resend) {
            return None;
        }
        let doubled = self.base.saturating_mul(1 << attempt.saturating_sub(1).min(20));
        // A wait varies by all of itself at most, and by nothing where this is no number.
        let jitter = if self.jitter.is_nan() {
            0.0
        } else {
            self.jitter.clamp(0.0, 1.0)
        };
        let wait = scaled(doubled.min(self.cap), rng.random_range(1.0 - jitter..=1.0 + jitter));
        let delay = error.retry_after().map_or(wait, |asked| asked.max(wait));
        (elapsed.saturating_add(delay) < self.budget).then_some(delay)
    }
}

/// The attempts at one operation under a [`RetryPolicy`].
#[derive(Debug, Clone)]
pub struct Attempts {
    policy: RetryPolicy,
    resend: Resend,
    began: Instant,
    failed: u32,
}

impl Attempts {
    /// The first attempt begins at `now`. `resend` is the rule of the method.
    pub const fn new(policy: RetryPolicy, resend: Resend, now: Instant) -> Self {
        Self {
            policy,
            resend,
            began: now,
            failed: 0,
        }
    }

    /// Counts a failed attempt, and says how long to wait before the next one; nothing when there should be none.
    pub fn failed(&mut self, error: &CallError, now: Instant, rng: &mut (impl Rng + ?Sized)) -> Option<Duration> {
        self.failed += 1;
        let elapsed = now.saturating_duration_since(self.began);
        self.policy.next_delay(error, self.resend, self.failed, elapsed, rng)
    }
}

impl CallError {
    /// Whether the same call may succeed later without happening twice. `resend` is the rule of its method.
    pub fn may_retry(&self, resend: Resend) -> bool {
        match self {
            Self::Rejected(rejected) => rejected.error.class() == ErrorClass::Transient,
            Self::NotSent(NotSent::NotReady { .. } | NotSent::WouldWait | NotSent::QueueFull { .. }) => true,
            Self::NotSent(NotSent::TooLarge { .. } | NotSent::Invalid { .. } | NotSent::Closed) => false,
            Self::OutcomeUnknown(_) | Self::TimedOut(_) => resend == Resend::Always,
        }
    }

    /// When the gateway wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rejected(rejected) => rejected.error.retry_after,
            _ => None,
        }
    }
}

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
    use serde_json::json;

    use super::*;
    use crate::{MethodName, Rejected, TimedOut};

    fn method() -> MethodName {
        MethodName::new("config.patch").unwrap()
    }

    fn rejected(error: serde_json::Value) -> CallError {
        let error = serde_json::from_value(error).unwrap();
        CallError::Rejected(Box::new(Rejected {
            method: method(),
            error,
        }))
    }

    fn limited() -> CallError {
        rejected(json!({"code": "UNAVAILABLE", "message": "", "retryable": true, "retryAfterMs": 20_000}))
    }

    fn delays(policy: RetryPolicy, error: &CallError, resend: Resend) -> Vec<Duration> {
        let (mut rng, mut elapsed, mut all) = (StdRng::seed_from_u64(3), Duration::ZERO, Vec::new());
        for attempt in 1.. {
            let Some(delay) = policy.next_delay(error, resend, attempt, elapsed, &mut rng) else {
                break;
            };
            elapsed += delay;
            all.push(delay);
        }
        all
    }

    #[test]
    fn waits_double_to_the_cap_within_their_jitter_and_budget() {
        let all = delays(RetryPolicy::COORDINATION, &NotSent::WouldWait.into(), Resend::Never);
        for (delay, expected) in all.iter().zip([0.5, 1.0, 2.0, 4.0, 5.0, 5.0]) {
            assert!((delay.as_secs_f64() / expected - 1.0).abs() <= 0.15 + 1e-9, "{all:?}");
        }
        let total: Duration = all.iter().sum();
        assert!(
            total < Duration::from_secs(45) && total > Duration::from_secs(38),
            "{total:?}"
        );
    }

    #[test]
    fn what_the_gateway_asks_for_is_waited_for_where_the_budget_reaches() {
        let short = delays(RetryPolicy::COORDINATION, &limited(), Resend::Never);
        assert_eq!(short, [Duration::from_secs(20); 2]);
        let beyond = rejected(json!({"code": "UNAVAILABLE", "message": "", "retryable": true, "retryAfterMs": 60_000}));
        assert_eq!(delays(RetryPolicy::COORDINATION, &beyond, Resend::Never), []);
    }

    #[test]
    fn an_absurd_wait_is_not_waited_for() {
        for after in [
            json!(1_000_000_000_000_u64),
            json!(u64::MAX),
            json!(1.8e22),
            json!(1e300),
        ] {
            let absurd = json!({"code": "UNAVAILABLE", "message": "", "retryable": true, "retryAfterMs": after});
            let error = rejected(absurd);
            let all = delays(RetryPolicy::PROVISIONING, &error, Resend::Never);
            let total = all.iter().fold(Duration::ZERO, |sum, delay| sum.saturating_add(*delay));
            assert!(total < RetryPolicy::PROVISIONING.budget, "{after}: {all:?}");
        }
    }

    #[test]
    fn only_what_passes_and_can_not_happen_twice_is_tried_again() {
        let late: CallError = TimedOut {
            method: method(),
            after: Duration::from_secs(1),
        }
        .into();
        let refused = rejected(json!({"code": "INVALID_REQUEST", "message": "unsupported file \"X\""}));
        for (error, resend, may) in [
            (limited(), Resend::Never, true),
            (refused, Resend::Always, false),
            (NotSent::QueueFull { limit: 1 }.into(), Resend::Never, true),
            (NotSent::Closed.into(), Resend::Always, false),
            (late.clone(), Resend::Always, true),
            (late.clone(), Resend::SameBoot, false),
            (late, Resend::Never, false),
        ] {
            assert_eq!(error.may_retry(resend), may, "{error:?} {resend:?}");
        }
    }
}

#[cfg(test)]
mod backoff_tests {
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
