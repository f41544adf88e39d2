//! How long to stay away after a refusal or a close.

use std::time::Duration;

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
