//! How often a gateway is asked for its sessions.

use std::time::{Duration, Instant};

/// How long a burst of events (a run's begin is five) is left to settle, so that it costs one list.
const SETTLE: Duration = Duration::from_millis(200);
/// The least time between the end of a load and the next one.
pub const REST: Duration = Duration::from_secs(1);
/// The longest: how far behind a slow gateway's cache may be.
pub const REST_CAP: Duration = Duration::from_secs(30);
/// How many times as long as a load took is rested after it: a gateway spends a tenth of its time on us at most.
const SHARE: u32 = 9;
/// How often the list is asked for where no event tells of changes (releases before 2026.4).
pub const POLL: Duration = Duration::from_secs(30);
/// How soon the list is asked for again that tells of a run without its name: it may be one that has just ended, which is listed
/// for up to 0.5 s after (2026.5.12).
const NAMELESS: Duration = Duration::from_secs(2);

/// When to ask next. What the line asks by itself (at a connection, after a gap) counts as a load too.
#[derive(Debug, Default)]
pub(super) struct RefreshSchedule {
    /// A load is under way, since then.
    asked: Option<Instant>,
    rest_until: Option<Instant>,
    /// Since when a load is wanted.
    wanted: Option<Instant>,
    poll_at: Option<Instant>,
}

impl RefreshSchedule {
    /// A load was asked for, or is known to be.
    pub(super) fn begin(&mut self, now: Instant) {
        self.asked = Some(now);
        self.wanted = None;
        self.poll_at = None;
    }

    /// It is over, well or not.
    pub(super) fn end(&mut self, now: Instant, polls: bool) {
        let took = self
            .asked
            .take()
            .map_or(Duration::ZERO, |asked| now.saturating_duration_since(asked));
        self.rest_until = Some(now + (took * SHARE).clamp(REST, REST_CAP));
        self.poll_at = polls.then(|| now + POLL);
    }

    /// Whatever was asked or wanted is void: the line is down, or the gateway refuses.
    pub(super) fn stop(&mut self) {
        *self = Self {
            rest_until: self.rest_until,
            ..Self::default()
        };
    }

    pub(super) fn want(&mut self, now: Instant) {
        if self.asked.is_none() {
            self.wanted.get_or_insert(now);
        }
    }

    /// A run without a name is at work: the list is looked at again, in any case not before the rest is over.
    pub(super) fn look_again(&mut self, now: Instant) {
        if self.asked.is_none() {
            let at = (now + NAMELESS).max(self.rest_until.unwrap_or(now));
            self.poll_at = Some(self.poll_at.map_or(at, |poll| poll.min(at)));
        }
    }

    /// When to ask, if nothing happens before.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.asked.is_some() {
            return None;
        }
        let wanted = self
            .wanted
            .map(|since| (since + SETTLE).max(self.rest_until.unwrap_or(since)));
        wanted.into_iter().chain(self.poll_at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_line::clock::{Clock as _, TokioClock};

    #[test]
    fn a_burst_costs_one_load_and_a_slow_gateway_is_asked_rarely() {
        let start = TokioClock::start().now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut pace = RefreshSchedule::default();
        assert_eq!(pace.due(), None);
        pace.want(at(0));
        pace.want(at(100));
        assert_eq!(pace.due(), Some(at(200)));
        pace.begin(at(200));
        pace.want(at(250));
        assert_eq!(pace.due(), None, "one at a time");
        pace.end(at(1_200), false);
        pace.want(at(1_300));
        assert_eq!(pace.due(), Some(at(1_200 + 9_000)), "nine times as long as it took");
        pace.begin(at(11_000));
        pace.end(at(11_001), false);
        pace.want(at(11_002));
        assert_eq!(pace.due(), Some(at(12_001)));
        pace.begin(at(13_000));
        pace.end(at(100_000), true);
        assert_eq!(pace.due(), Some(at(130_000)), "and then by the clock");
        pace.look_again(at(101_000));
        pace.look_again(at(105_000));
        assert_eq!(pace.due(), Some(at(130_000)), "the rest after a load of 87 s");
        pace.begin(at(130_000));
        pace.end(at(130_050), true);
        pace.look_again(at(130_060));
        pace.look_again(at(131_000));
        assert_eq!(pace.due(), Some(at(132_060)), "once, soon after it was seen");
        pace.stop();
        assert_eq!(pace.due(), None);
    }
}
