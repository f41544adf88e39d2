//! Lists of faults in time.

use std::time::Duration;

use super::{Fault, FaultKind, RandomFaults};

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

    /// Adds a fault that is taken back again, if it is one that lasts.
    pub fn during(self, from: Duration, until: Duration, fault: Fault) -> Self {
        let undo = fault.undo();
        let begun = self.at(from, fault);
        match undo {
            Some(undo) => begun.at(until, undo),
            None => begun,
        }
    }

    /// About so many faults of a network at random times within this time. Lasting faults are taken back at the end, so that
    /// the client under test can recover.
    pub fn seeded(seed: u64, count: usize, within: Duration) -> Self {
        let mean = within / u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        let storm = RandomFaults::new(seed).every(mean).lasting(mean).of(FaultKind::NETWORK);
        Self::by_chance(storm, within)
    }

    /// Random faults within this time, and [`Calm`](Fault::Calm) at its end.
    pub fn by_chance(storm: RandomFaults, within: Duration) -> Self {
        let (mut schedule, mut at) = (Self::default(), Duration::ZERO);
        for chance in storm {
            at += chance.after;
            if at >= within {
                break;
            }
            let until = (at + chance.lasts.unwrap_or_default()).min(within);
            schedule = schedule.during(at, until, chance.fault);
        }
        schedule.at(within, Fault::Calm)
    }

    /// The faults in order of time.
    pub fn faults(&self) -> &[(Duration, Fault)] {
        &self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seeded_schedule_is_repeatable_ordered_and_ends_in_calm() {
        let within = Duration::from_secs(60);
        for seed in 0..50 {
            let schedule = Schedule::seeded(seed, 20, within);
            assert_eq!(schedule, Schedule::seeded(seed, 20, within), "seed {seed}");
            let faults = schedule.faults();
            assert!(faults.is_sorted_by_key(|(time, _)| *time), "seed {seed}");
            assert_eq!(faults.last(), Some(&(within, Fault::Calm)), "seed {seed}");
        }
        assert_ne!(Schedule::seeded(1, 20, within), Schedule::seeded(2, 20, within));
    }
}
