//! From the end of a connection to the next attempt: one decision, in one place.

use std::time::{Duration, Instant};

use rand::Rng;
use windlass_protocol::Pause;
use windlass_protocol::connection::Backoff;

use super::{Intensity, IntensityPolicy};
use crate::connection::DisconnectReason;

/// When the next attempt comes, and the kind of the time until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// An ordinary failure: the backoff decides.
    Wait(Duration),
    /// A person has to act: ask again slowly.
    Pause(Duration),
    /// Too many failures of our own: rest.
    Degrade { rest: Duration, failures: usize },
    /// At once: something else was tried that may work.
    Retry(Duration),
}

/// Decides. `second_chance` is a delay after which other credentials are tried, if there are any.
pub(super) fn decide(
    exit: &DisconnectReason,
    now: Instant,
    second_chance: Option<Duration>,
    backoff: &mut Backoff,
    intensity: (&mut Intensity, &IntensityPolicy),
    rng: &mut impl Rng,
) -> Decision {
    let (intensity, policy) = intensity;
    if let Some(delay) = second_chance {
        return Decision::Retry(delay);
    }
    if matches!(exit, DisconnectReason::Panicked(_))
        && let Some(failures) = intensity.failed(now, policy)
    {
        return Decision::Degrade {
            rest: policy.rest,
            failures,
        };
    }
    match exit.pause() {
        Pause::Retry { after } => Decision::Wait(backoff.next_delay(now, after, rng)),
        Pause::SlowPoll { every } => Decision::Pause(every),
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use windlass_protocol::connection::BackoffPolicy;
    use windlass_protocol::{CloseCode, CloseReason, CredentialKind, GatewayError};

    use super::*;

    fn decide_all(exits: &[DisconnectReason]) -> Vec<Decision> {
        #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
        let now = Instant::now();
        let mut backoff = Backoff::new(BackoffPolicy::default());
        let mut intensity = Intensity::default();
        let policy = IntensityPolicy::default();
        let mut rng = StdRng::seed_from_u64(1);
        let one = |exit| decide(exit, now, None, &mut backoff, (&mut intensity, &policy), &mut rng);
        exits.iter().map(one).collect()
    }

    fn refused(error: serde_json::Value) -> DisconnectReason {
        let error: GatewayError = serde_json::from_value(error).unwrap();
        DisconnectReason::Refused(Box::new(error.into()), CredentialKind::Token)
    }

    #[test]
    fn what_passes_by_itself_backs_off_and_what_needs_a_person_pauses() {
        let closed = |code| DisconnectReason::Closed(CloseReason::new(CloseCode(code), ""));
        let token =
            serde_json::json!({"code": "INVALID_REQUEST", "message": "", "details": {"code": "AUTH_TOKEN_MISMATCH"}});
        let pairing = serde_json::json!({"code": "NOT_PAIRED", "message": "", "details": {"code": "PAIRING_REQUIRED"}});
        let decisions = decide_all(&[
            closed(1012),
            closed(1006),
            DisconnectReason::Lost(String::new()),
            refused(token),
            refused(pairing),
        ]);
        assert!(
            decisions[..3]
                .iter()
                .all(|decision| matches!(decision, Decision::Wait(_))),
            "{decisions:?}"
        );
        assert_eq!(
            decisions[3..],
            [
                Decision::Pause(Duration::from_secs(600)),
                Decision::Pause(Duration::from_secs(30))
            ]
        );
    }

    #[test]
    fn panics_back_off_until_they_are_too_many() {
        let exits: Vec<_> = (0..7).map(|_| DisconnectReason::Panicked(String::new())).collect();
        let decisions = decide_all(&exits);
        assert!(
            decisions[..5]
                .iter()
                .all(|decision| matches!(decision, Decision::Wait(_))),
            "{decisions:?}"
        );
        assert!(
            decisions[5..]
                .iter()
                .all(|decision| matches!(decision, Decision::Degrade { failures: 6, .. }))
        );
    }
}
