//! Faults, and lists of them in time.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::Direction;

/// Something that the proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Ends all open connections in both directions.
    Cut,
    /// The same with RST on TCP; a pipe is cut.
    Reset,
    /// Stops one direction of all connections, open and coming, until it is resumed.
    Stall(Direction),
    /// Lets a stalled direction go on, with all that waited in it.
    Resume(Direction),
    /// Delays every chunk by this time, both ways, on all connections. Zero ends it.
    Delay(Duration),
    /// Freezes the open connections for good, without ending them. New ones work.
    HalfOpen,
    /// Refuses new connections (`true`) or takes them again (`false`).
    Refuse(bool),
}

/// Faults with their times, to be played by [`ChaosProxy::play`](super::ChaosProxy::play).
///
/// ```
/// use std::time::Duration;
/// use windlass_testkit::chaos::{Fault, Schedule};
///
/// let by_hand = Schedule::default().at(Duration::from_secs(1), Fault::Cut);
/// let by_seed = Schedule::seeded(42, 10, Duration::from_secs(60));
/// assert_eq!(by_seed, Schedule::seeded(42, 10, Duration::from_secs(60)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    faults: Vec<(Duration, Fault)>,
}

impl Schedule {
    /// Adds a fault at this time after the start of playing; faults may be added in any order.
    pub fn at(mut self, time: Duration, fault: Fault) -> Self {
        self.faults.push((time, fault));
        self.faults.sort_by_key(|(time, _)| *time);
        self
    }

    /// So many faults at random times within this time. A fault that lasts is taken back before the end, so that
    /// whatever is under test can settle.
    pub fn seeded(seed: u64, count: usize, within: Duration) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut schedule = Self::default();
        for _ in 0..count {
            let begin = within.mul_f64(random.random_range(0.0..1.0));
            let end = begin + within.saturating_sub(begin).mul_f64(random.random_range(0.0..1.0));
            let direction = if random.random() {
                Direction::ToClient
            } else {
                Direction::ToGateway
            };
            schedule = match random.random_range(0..6) {
                0 => schedule.at(begin, Fault::Cut),
                1 => schedule.at(begin, Fault::Reset),
                2 => schedule.at(begin, Fault::HalfOpen),
                3 => schedule
                    .at(begin, Fault::Stall(direction))
                    .at(end, Fault::Resume(direction)),
                4 => {
                    let delay = Duration::from_millis(random.random_range(1..500));
                    schedule
                        .at(begin, Fault::Delay(delay))
                        .at(end, Fault::Delay(Duration::ZERO))
                }
                _ => schedule.at(begin, Fault::Refuse(true)).at(end, Fault::Refuse(false)),
            };
        }
        schedule
            .at(within, Fault::Resume(Direction::ToClient))
            .at(within, Fault::Resume(Direction::ToGateway))
            .at(within, Fault::Delay(Duration::ZERO))
            .at(within, Fault::Refuse(false))
    }

    /// The faults in order of time.
    pub fn faults(&self) -> &[(Duration, Fault)] {
        &self.faults
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Fault, Schedule};

    #[test]
    fn a_seeded_schedule_is_repeatable_ordered_and_takes_back_what_lasts() {
        let within = Duration::from_secs(60);
        for seed in 0..50 {
            let schedule = Schedule::seeded(seed, 20, within);
            assert_eq!(schedule, Schedule::seeded(seed, 20, within), "seed {seed}");
            let faults = schedule.faults();
            assert!(faults.is_sorted_by_key(|(time, _)| *time), "seed {seed}");
            assert!(faults.iter().all(|(time, _)| *time <= within), "seed {seed}");
            let last = |wanted: fn(&Fault) -> bool| faults.iter().rev().map(|(_, fault)| *fault).find(wanted);
            let delay = last(|fault| matches!(fault, Fault::Delay(_)));
            assert_eq!(delay, Some(Fault::Delay(Duration::ZERO)), "seed {seed}");
            let refuse = last(|fault| matches!(fault, Fault::Refuse(_)));
            assert_eq!(refuse, Some(Fault::Refuse(false)), "seed {seed}");
        }
        assert_ne!(Schedule::seeded(1, 20, within), Schedule::seeded(2, 20, within));
    }
}
