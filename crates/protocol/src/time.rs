//! Arithmetic of time that can't fail: durations come from users, configurations and gateways, and `Instant + Duration`
//! panics where the sum has no place in the type.

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
