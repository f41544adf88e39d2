//! How far one topic is, and how the gateway is to be asked for it.

use std::time::{Duration, Instant};

use rand::{Rng, RngExt as _};

use super::asking::Step;

/// First wait after a question that failed.
const REST_BASE: Duration = Duration::from_millis(500);
/// Longest wait: a gateway that is busy for minutes is asked twice a minute.
const REST_CAP: Duration = Duration::from_secs(30);

/// How the gateway of a release is to be asked, as it has answered before.
#[derive(Debug, Clone, Default)]
pub(super) struct Speech {
    /// The release that it was learnt from.
    pub(super) version: String,
    pub(super) sessions: Manner,
    pub(super) messages: Manner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Manner {
    /// Subscribe with the parameters of a list. (One session's messages are always subscribed without any.)
    #[default]
    Listing,
    /// Subscribe, then ask for the state.
    Bare,
    /// There is no subscription: ask for the state.
    Without,
}

#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Guards that hold it.
    pub(super) holders: usize,
    /// Held by [`Topic::Everything`] as well.
    pub(super) grown: bool,
    pub(super) phase: Phase,
    /// Something may have been missed since it was loaded last.
    pub(super) stale: bool,
    pub(super) subscribed: bool,
    /// Failures in a row.
    pub(super) failures: u32,
    /// The refusal that was logged last, so that it is not logged at every connection.
    pub(super) told: Option<Box<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    #[default]
    Idle,
    /// To be asked as soon as there is room; `None` is the first question, whichever that is.
    Ready(Option<Step>),
    Asked(Step),
    /// Failed just now; may be asked again not before so long.
    Failed(Option<Duration>),
    Resting(Instant),
    /// Refused by the gateway: left alone until the next connection, or until it is declared once more.
    Refused,
}

impl Entry {
    pub(super) const fn needed(&self) -> bool {
        self.holders > 0 || self.grown
    }
}

/// How long to wait after so many failures in a row: doubled each time, half of it by chance.
pub(super) fn rest(failures: u32, asked_for: Option<Duration>, rng: &mut impl Rng) -> Duration {
    let doubled = REST_BASE
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(REST_CAP);
    let own = doubled.mul_f64(rng.random_range(0.5..=1.0));
    asked_for.map_or(own, |asked| asked.min(REST_CAP).max(own))
}
