//! Faults by chance, the same ones for the same seed.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{Direction, Door, Fault, FrameFault};

/// A fault without its numbers: they are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is described at the fault of its name")]
pub enum FaultKind {
    Cut,
    Reset,
    HalfOpen,
    Close,
    Stall,
    Latency,
    Bandwidth,
    SlowReader,
    Slice,
    Refuse,
    Hang,
    HangUpgrade,
    AnswerUpgrade,
    FailTls,
    ClockSkew,
    Lose,
    Truncate,
    Tear,
    Duplicate,
    Reorder,
    Corrupt,
    Garbage,
    WrongId,
    RepeatId,
    Oversize,
    Pings,
    Pad,
    CloseAtFrame,
}

/// Close codes of gateways (1000, 1001, 1012, 1013, 4001) and of other servers (1006, 1011, 4999). Without 1008: a client that is
/// closed with 1008 waits for an operator, and has no faults meanwhile.
const CODES: [u16; 8] = [1000, 1001, 1006, 1011, 1012, 1013, 4001, 4999];

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::Cut,
        Self::Reset,
        Self::HalfOpen,
        Self::Close,
        Self::Stall,
        Self::Latency,
        Self::Bandwidth,
        Self::SlowReader,
        Self::Slice,
        Self::Refuse,
        Self::Hang,
        Self::HangUpgrade,
        Self::AnswerUpgrade,
        Self::FailTls,
        Self::ClockSkew,
        Self::Lose,
        Self::Truncate,
        Self::Tear,
        Self::Duplicate,
        Self::Reorder,
        Self::Corrupt,
        Self::Garbage,
        Self::WrongId,
        Self::RepeatId,
        Self::Oversize,
        Self::Pings,
        Self::Pad,
        Self::CloseAtFrame,
    ];

    /// The faults of a network and of a gateway that restarts. None of them changes the contents of a frame: neither a network
    /// nor a restart does that.
    pub const NETWORK: [Self; 13] = [
        Self::Cut,
        Self::Reset,
        Self::HalfOpen,
        Self::Close,
        Self::Stall,
        Self::Latency,
        Self::Bandwidth,
        Self::SlowReader,
        Self::Slice,
        Self::Refuse,
        Self::Hang,
        Self::HangUpgrade,
        Self::Tear,
    ];

    /// The word that the fault is called by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Reset => "reset",
            Self::HalfOpen => "half-open",
            Self::Close => "close",
            Self::Stall => "stall",
            Self::Latency => "latency",
            Self::Bandwidth => "bandwidth",
            Self::SlowReader => "slow-reader",
            Self::Slice => "slice",
            Self::Refuse => "refuse",
            Self::Hang => "hang",
            Self::HangUpgrade => "hang-upgrade",
            Self::AnswerUpgrade => "answer-upgrade",
            Self::FailTls => "fail-tls",
            Self::ClockSkew => "clock-skew",
            Self::Lose => "lose",
            Self::Truncate => "truncate",
            Self::Tear => "tear",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Corrupt => "corrupt",
            Self::Garbage => "garbage",
            Self::WrongId => "wrong-id",
            Self::RepeatId => "repeat-id",
            Self::Oversize => "oversize",
            Self::Pings => "pings",
            Self::Pad => "pad",
            Self::CloseAtFrame => "close-at-frame",
        }
    }

    /// One fault of this kind.
    pub fn draw(self, rng: &mut StdRng) -> Fault {
        let direction = if rng.random() {
            Direction::ToClient
        } else {
            Direction::ToGateway
        };
        let millis = |rng: &mut StdRng, most| Duration::from_millis(rng.random_range(1..most));
        let code = CODES[rng.random_range(0..CODES.len())];
        let frame = |fault: FrameFault| Fault::Arm(fault.next().towards(direction));
        match self {
            Self::Cut => Fault::Cut,
            Self::Reset => Fault::Reset,
            Self::HalfOpen => Fault::HalfOpen,
            Self::Close => Fault::Close(code),
            Self::Stall => Fault::Stall(direction),
            Self::Latency => Fault::Latency {
                delay: millis(rng, 500),
                jitter: millis(rng, 200),
            },
            Self::Bandwidth => Fault::Bandwidth(direction, Some(rng.random_range(1_000..100_000))),
            Self::SlowReader => Fault::SlowReader(direction, Some(rng.random_range(1_000..100_000))),
            Self::Slice => Fault::Slice(NonZeroUsize::new(rng.random_range(1..64))),
            Self::Refuse => Fault::Door(Door::Refuse),
            Self::Hang => Fault::Door(Door::Hang),
            Self::HangUpgrade => Fault::Door(Door::HangUpgrade),
            Self::AnswerUpgrade => Fault::Door(Door::AnswerUpgrade(if rng.random() { 502 } else { 503 })),
            Self::FailTls => Fault::Door(Door::FailTls),
            Self::ClockSkew => Fault::SkewClock(rng.random_range(-3_600_000..3_600_000)),
            Self::Lose => frame(FrameFault::Lose),
            Self::Truncate => frame(FrameFault::Truncate),
            Self::Tear => frame(FrameFault::Tear),
            Self::Duplicate => frame(FrameFault::Duplicate),
            Self::Reorder => frame(FrameFault::Reorder),
            Self::Corrupt => frame(FrameFault::Corrupt),
            Self::Garbage => frame(FrameFault::Garbage),
            Self::WrongId => frame(FrameFault::WrongId),
            Self::RepeatId => frame(FrameFault::RepeatId),
            Self::Oversize => Fault::Arm(FrameFault::Oversize(rng.random_range(1_000_000..60_000_000)).next()),
            Self::Pings => frame(FrameFault::Pings(rng.random_range(1..2_000))),
            // To the client only: 2026.5.12 to 2026.7.1 refuse a request with a member that they don't know.
            Self::Pad => Fault::Arm(FrameFault::Pad(rng.random_range(1_000..1_000_000)).next()),
            Self::CloseAtFrame => frame(FrameFault::Close(code)),
        }
    }
}

/// A name that no fault has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no fault has this name")]
pub struct UnknownFault;

impl FromStr for FaultKind {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or(UnknownFault)
    }
}

/// One of the faults of [`RandomFaults`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chance {
    /// How long after the one before.
    pub after: Duration,
    /// The fault.
    pub fault: Fault,
    /// For a fault that lasts: how long.
    pub lasts: Option<Duration>,
}

/// Faults without end, by chance.
///
/// ```
/// use std::time::Duration;
/// use windlass_testkit::chaos::{FaultKind, RandomFaults};
///
/// let storm = || RandomFaults::new(42).every(Duration::from_secs(1)).of([FaultKind::Cut, FaultKind::Latency]);
/// let hour: Vec<_> = storm().take(3600).collect();
/// assert_eq!(hour, storm().take(3600).collect::<Vec<_>>());
/// ```
#[derive(Debug)]
pub struct RandomFaults {
    rng: StdRng,
    every: Duration,
    lasting: Duration,
    kinds: Vec<FaultKind>,
}

impl RandomFaults {
    /// Every kind, each second on average, lasting ones for a second on average.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            every: Duration::from_secs(1),
            lasting: Duration::from_secs(1),
            kinds: FaultKind::ALL.to_vec(),
        }
    }

    /// The mean time between two faults.
    pub const fn every(mut self, mean: Duration) -> Self {
        self.every = mean;
        self
    }

    /// The mean time that faults last which do.
    pub const fn lasting(mut self, mean: Duration) -> Self {
        self.lasting = mean;
        self
    }

    /// Only these kinds; a kind that stands there twice comes twice as often. None of them: all, as before.
    pub fn of(mut self, kinds: impl IntoIterator<Item = FaultKind>) -> Self {
        let kinds: Vec<_> = kinds.into_iter().collect();
        if !kinds.is_empty() {
            self.kinds = kinds;
        }
        self
    }

    /// Exponential, as the time between independent accidents is; ten times the mean at most.
    fn around(&mut self, mean: Duration) -> Duration {
        let chance: f64 = self.rng.random_range(0.0..1.0);
        mean.mul_f64((-(1.0 - chance).ln()).min(10.0))
    }
}

impl Iterator for RandomFaults {
    type Item = Chance;

    fn next(&mut self) -> Option<Chance> {
        let after = self.around(self.every);
        let kind = self.kinds[self.rng.random_range(0..self.kinds.len())];
        let fault = kind.draw(&mut self.rng);
        let lasts = fault.undo().is_some().then(|| self.around(self.lasting));
        Some(Chance { after, fault, lasts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name_and_draws_a_fault_of_that_name() {
        let mut rng = StdRng::seed_from_u64(1);
        for kind in FaultKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(kind.draw(&mut rng).name(), kind.name());
        }
        assert_eq!("typhoon".parse::<FaultKind>(), Err(UnknownFault));
    }

    #[test]
    fn chance_keeps_its_mean() {
        let storm = RandomFaults::new(7).every(Duration::from_secs(2));
        let total: Duration = storm.take(4000).map(|chance| chance.after).sum();
        let mean = total.as_secs_f64() / 4000.0;
        assert!((1.9..2.1).contains(&mean), "{mean}");
    }
}
