//! When to try a call again that failed for a passing reason.
//!
//! This is for callers with time to spare, above the line's own re-sending: a gateway that drains, starts, or has had
//! enough writes for this minute says no now and yes later. Decided by types and codes only.

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
