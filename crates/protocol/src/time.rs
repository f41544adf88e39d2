//! Arithmetic of time that can't fail: durations come from users, configurations and gateways, and `Instant + Duration`
//! panics where the sum has no place in the type.
//!
//! [`Pause`] says how long to stay away after a refusal or a close.

use std::time::{Duration, Instant, SystemTime};

/// The longest wait: 30 years. A longer one is cut to it.
pub const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The instant `wait` after `now`, at most [`FAR_FUTURE`] after it.
pub fn after(now: Instant, wait: Duration) -> Instant {
    // A clock that is within 30 years of the end of its type stands still rather than panics.
    now.checked_add(wait.min(FAR_FUTURE)).unwrap_or(now)
}

/// The time of day `wait` after `now`, at most [`FAR_FUTURE`] after it.
pub fn wall_after(now: SystemTime, wait: Duration) -> SystemTime {
    now.checked_add(wait.min(FAR_FUTURE)).unwrap_or(now)
}

/// `wait` times `factor`, at most [`FAR_FUTURE`]; nothing for a factor that is negative or no number.
pub fn scaled(wait: Duration, factor: f64) -> Duration {
    let seconds = wait.min(FAR_FUTURE).as_secs_f64() * factor;
    if seconds > 0.0 {
        Duration::try_from_secs_f64(seconds).map_or(FAR_FUTURE, |scaled| scaled.min(FAR_FUTURE))
    } else {
        Duration::ZERO
    }
}

/// How a client goes on after it was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Try again under the ordinary backoff; with `after`, in that time instead (it is an answer of the gateway, so it needs no
    /// further growth).
    Retry {
        /// The pause that the gateway asked for, already clamped.
        after: Option<Duration>,
    },
    /// Trying again at once cannot help: something has to change elsewhere first. Look again this often, and at once when the
    /// configuration changes or someone asks for it.
    SlowPoll {
        /// Time between two looks.
        every: Duration,
    },
}

/// Pairing requests are approved elsewhere, often within minutes; the gateway keeps one pending request per device, so asking
/// twice a minute costs it nothing.
pub const PAIRING_POLL: Duration = Duration::from_secs(30);

/// For wrong credentials, unknown protocol generations and faulty devices. Gateways may count 10 failures in 60 s as an attack
/// and lock the address out for 5 min, and one address may hold many clients: one try in ten minutes stays far below it.
pub const PERSON_POLL: Duration = Duration::from_secs(600);

/// For an HTTP server that is not (now) a gateway: the URL is wrong, or a proxy's routes are just being replaced. No limiter
/// counts these, so once a minute is cheap for both sides.
pub const WRONG_PLACE_POLL: Duration = Duration::from_secs(60);

/// The gateway's lockout after too many failures: an earlier attempt is refused with any credentials.
pub const LOCKOUT: Duration = Duration::from_secs(300);

/// Bounds for the pause that a starting gateway asks for, as its own client has them: a start takes seconds.
pub const STARTUP_PAUSE_MIN: Duration = Duration::from_millis(100);
/// See [`STARTUP_PAUSE_MIN`].
pub const STARTUP_PAUSE_MAX: Duration = Duration::from_secs(2);
/// Used when a starting gateway names no pause.
pub const STARTUP_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause believed. The longest one seen is a minute (rate limit of control-plane writes); a gateway with a broken clock
/// must not be able to send its clients away for a year.
pub const PAUSE_MAX: Duration = Duration::from_secs(900);

impl Pause {
    /// The ordinary backoff.
    pub const BACKOFF: Self = Self::Retry { after: None };

    /// Retry when the gateway asks for it, at most [`PAUSE_MAX`] from now.
    pub fn asked(retry_after: Option<Duration>) -> Self {
        Self::Retry {
            after: retry_after.map(|after| after.min(PAUSE_MAX)),
        }
    }

    /// Retry soon: the gateway is on its way up.
    pub fn starting(retry_after: Option<Duration>) -> Self {
        let after = retry_after
            .unwrap_or(STARTUP_PAUSE)
            .clamp(STARTUP_PAUSE_MIN, STARTUP_PAUSE_MAX);
        Self::Retry { after: Some(after) }
    }

    /// Retry after a lockout.
    pub fn locked_out(retry_after: Option<Duration>) -> Self {
        Self::Retry {
            after: Some(retry_after.unwrap_or(LOCKOUT).clamp(LOCKOUT, PAUSE_MAX)),
        }
    }

    /// A person has to change something.
    pub const PERSON: Self = Self::SlowPoll { every: PERSON_POLL };

    /// The URL, or the server behind it, has to be corrected.
    pub const WRONG_PLACE: Self = Self::SlowPoll {
        every: WRONG_PLACE_POLL,
    };

    /// A pairing request has to be approved.
    pub const PAIRING: Self = Self::SlowPoll { every: PAIRING_POLL };
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    fn any_wait() -> impl Strategy<Value = Duration> {
        prop_oneof![
            Just(Duration::ZERO),
            Just(Duration::MAX),
            Just(FAR_FUTURE),
            (0..=u64::MAX, 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
            (0..=u64::MAX).prop_map(Duration::from_nanos),
        ]
    }

    proptest! {
        #[test]
        fn every_wait_has_an_end_that_is_as_asked_or_far(wait in any_wait(), factor in any::<f64>()) {
            #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
            let now = Instant::now();
            prop_assert_eq!(after(now, wait) - now, wait.min(FAR_FUTURE));
            prop_assert_eq!(wall_after(UNIX_EPOCH, wait), UNIX_EPOCH + wait.min(FAR_FUTURE));
            prop_assert!(scaled(wait, factor) <= FAR_FUTURE);
            prop_assert!(scaled(wait, 1.0).as_secs().abs_diff(wait.min(FAR_FUTURE).as_secs()) <= 1);
        }
    }

    #[test]
    fn what_is_scaled_by_nonsense_waits_for_nothing_or_the_longest() {
        let second = Duration::from_secs(1);
        for (factor, scaled_to) in [
            (f64::NAN, Duration::ZERO),
            (-1.0, Duration::ZERO),
            (f64::NEG_INFINITY, Duration::ZERO),
            (f64::INFINITY, FAR_FUTURE),
            (0.5, Duration::from_millis(500)),
        ] {
            assert_eq!(scaled(second, factor), scaled_to, "{factor}");
        }
    }
}

#[cfg(test)]
mod pause_tests {
    use super::*;

    fn after(pause: Pause) -> Option<u128> {
        match pause {
            Pause::Retry { after } => after.map(|d| d.as_millis()),
            Pause::SlowPoll { .. } => None,
        }
    }

    #[test]
    fn what_a_gateway_asks_for_is_honoured_within_bounds() {
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(after(Pause::asked(None)), None);
        assert_eq!(after(Pause::asked(ms(58_276))), Some(58_276));
        assert_eq!(after(Pause::asked(ms(u64::MAX))), Some(PAUSE_MAX.as_millis()));
        for (asked, kept) in [(None, 500), (ms(0), 100), (ms(700), 700), (ms(60_000), 2_000)] {
            assert_eq!(after(Pause::starting(asked)), Some(kept));
        }
        for (asked, kept) in [
            (None, 300_000),
            (ms(1), 300_000),
            (ms(400_000), 400_000),
            (ms(u64::MAX), 900_000),
        ] {
            assert_eq!(after(Pause::locked_out(asked)), Some(kept));
        }
    }
}
