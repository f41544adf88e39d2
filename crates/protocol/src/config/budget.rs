//! How often a gateway takes a write to its configuration.
//!
//! A gateway tells its limit only when it is reached: `UNAVAILABLE` with `retryAfterMs` and `details.limit`, `3 per 60s` up
//! to 2026.7, `30 per 60s` since, none at all on 2026.1.30. Refused writes count, for any reason of refusal; the count
//! survives a restart inside the gateway's process.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::GatewayError;
use crate::time::after;

/// Most writes that are remembered: more than any known limit.
const REMEMBERED: usize = 256;
/// Longest wait that a gateway can ask for. Known limits are within a minute; an absurd number must not stop everything.
pub const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// The window for writes that are counted before the limit is known.
const USUAL_WINDOW: Duration = Duration::from_secs(60);
/// The wait beyond the gateway's own number: a write that comes a moment early is refused and counts again.
const MARGIN: Duration = Duration::from_millis(250);

/// So many writes within so much time, at most [`LONGEST_WAIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteLimit {
    /// Writes.
    pub count: u32,
    /// Within this.
    pub window: Duration,
}

/// Counts writes to one gateway, and says when the next one may go. Learns the limit when the gateway tells it.
#[derive(Clone, Debug, Default)]
pub struct WriteBudget {
    limit: Option<WriteLimit>,
    writes: VecDeque<Instant>,
    not_before: Option<Instant>,
}

impl WriteLimit {
    /// Reads `3 per 60s`. A window that is longer than [`LONGEST_WAIT`] is cut to that.
    pub fn parse(text: &str) -> Option<Self> {
        let (count, window) = text.split_once(" per ")?;
        let count = count.trim().parse().ok().filter(|count| *count > 0)?;
        let window = window.trim();
        let (number, unit) = window.split_at(window.find(|c: char| !c.is_ascii_digit())?);
        let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
        let window = match unit {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" | "min" => Duration::from_secs(number.checked_mul(60)?),
            _ => return None,
        };
        let window = window.min(LONGEST_WAIT);
        Some(Self { count, window })
    }
}

impl WriteBudget {
    /// The limit, once the gateway told it.
    pub const fn limit(&self) -> Option<WriteLimit> {
        self.limit
    }

    /// How long the next write has to wait at `now`; zero when it may go.
    pub fn wait(&self, now: Instant) -> Duration {
        let told = self
            .not_before
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        told.max(self.counted(now))
    }

    fn counted(&self, now: Instant) -> Duration {
        let Some(limit) = self.limit else { return Duration::ZERO };
        let count = usize::try_from(limit.count).unwrap_or(usize::MAX);
        // The write after which only `count - 1` are left in the window.
        let Some(nth) = self.writes.len().checked_sub(count) else {
            return Duration::ZERO;
        };
        let free_at = self
            .writes
            .get(nth)
            .map(|at| after(*at, limit.window.saturating_add(MARGIN)));
        free_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    /// A write was answered, or lost, at `now`: it counts from the moment at which the gateway had it at the latest.
    pub fn wrote(&mut self, now: Instant) {
        let window = self
            .limit
            .map_or(USUAL_WINDOW, |limit| limit.window)
            .saturating_add(MARGIN);
        while self
            .writes
            .front()
            .is_some_and(|at| now.saturating_duration_since(*at) >= window)
        {
            self.writes.pop_front();
        }
        if self.writes.len() == REMEMBERED {
            self.writes.pop_front();
        }
        self.writes.push_back(now);
    }

    /// A write was refused at `now`. Learns from it if it was the limit, and says whether it was. Call
    /// [`wrote`](Self::wrote) as well, unless it was.
    pub fn refused(&mut self, now: Instant, error: &GatewayError) -> bool {
        let told = error.detail_str("limit").and_then(WriteLimit::parse);
        let is_limit = error.detail_str("limit").is_some();
        if let Some(limit) = told {
            self.limit = Some(limit);
        }
        if is_limit {
            let window = self.limit.map_or(USUAL_WINDOW, |limit| limit.window);
            let wait = error.retry_after.unwrap_or(window).min(LONGEST_WAIT) + MARGIN;
            self.not_before = Some(after(now, wait));
        }
        is_limit
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn limited(limit: &str, after_ms: u64) -> GatewayError {
        serde_json::from_value(json!({
            "code": "UNAVAILABLE", "message": "rate limit exceeded for config.patch; retry after 46s", "retryable": true,
            "retryAfterMs": after_ms, "details": {"method": "config.patch", "limit": limit},
        }))
        .unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn limits_are_read_as_gateways_write_them() {
        let limit = |count, secs| {
            let window = Duration::from_secs(secs);
            Some(WriteLimit { count, window })
        };
        assert_eq!(WriteLimit::parse("3 per 60s"), limit(3, 60));
        assert_eq!(WriteLimit::parse("30 per 60s"), limit(30, 60));
        assert_eq!(WriteLimit::parse("5 per 2m"), limit(5, 120));
        for absurd in [
            "5 per 18446744073709551615s",
            "5 per 300000000000000000m",
            "5 per 1000000000000000ms",
        ] {
            assert_eq!(WriteLimit::parse(absurd), limit(5, LONGEST_WAIT.as_secs()), "{absurd}");
        }
        for odd in [
            "",
            "3",
            "3 per",
            "3 per s",
            "0 per 60s",
            "3 per 0s",
            "-3 per 60s",
            "3 per 60 parsecs",
        ] {
            assert_eq!(WriteLimit::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn nothing_waits_before_the_gateway_named_a_limit() {
        let mut budget = WriteBudget::default();
        let now = start();
        for _ in 0..1000 {
            budget.wrote(now);
        }
        assert_eq!((budget.wait(now), budget.limit()), (Duration::ZERO, None));
        assert_eq!(budget.writes.len(), REMEMBERED);
    }

    #[test]
    fn a_refusal_is_waited_for_and_its_limit_kept_from_then_on() {
        let mut budget = WriteBudget::default();
        let now = start();
        assert!(budget.refused(now, &limited("3 per 60s", 46_000)));
        assert_eq!(budget.wait(now), Duration::from_millis(46_250));
        let later = now + Duration::from_secs(47);
        assert_eq!(budget.wait(later), Duration::ZERO);
        for second in 0..3 {
            assert_eq!(budget.wait(later + Duration::from_secs(second)), Duration::ZERO);
            budget.wrote(later + Duration::from_secs(second));
        }
        let full = later + Duration::from_secs(3);
        assert_eq!(budget.wait(full), Duration::from_millis(57_250));
        assert_eq!(budget.wait(full + Duration::from_millis(57_250)), Duration::ZERO);
    }

    #[test]
    fn other_refusals_teach_nothing_and_absurd_waits_are_cut() {
        let mut budget = WriteBudget::default();
        let now = start();
        let stale = GatewayError::new(crate::ErrorCode::InvalidRequest, "config changed since last load");
        assert!(!budget.refused(now, &stale));
        assert_eq!(budget.wait(now), Duration::ZERO);
        assert!(budget.refused(now, &limited("a few", u64::MAX)));
        assert_eq!(budget.wait(now), LONGEST_WAIT + MARGIN);
        assert_eq!(budget.limit(), None);
        assert!(budget.refused(now, &limited("1 per 18446744073709551615s", 0)));
        budget.wrote(now);
        assert_eq!(budget.wait(now), LONGEST_WAIT + MARGIN);
    }
}
