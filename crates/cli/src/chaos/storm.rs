//! A plan as it is played: fixed and random faults in one order of time.

use std::collections::BTreeMap;
use std::time::Duration;

use windlass_testkit::chaos::{Chance, ChaosProxy, Fault, RandomFaults};

use crate::chaos::plan::{ChaosPlan, Fixed};

/// The next fault; without end if there are random or repeated faults.
pub(crate) struct Storm {
    /// By their time; of two at the same time the one that was added first comes first.
    due: BTreeMap<(Duration, u64), Deed>,
    added: u64,
    random: Option<RandomFaults>,
}

enum Deed {
    Fixed(Fixed),
    Random(Chance),
    /// Takes something back.
    Undo(Fault),
}

impl Storm {
    pub(crate) fn new(plan: &ChaosPlan, seed: u64) -> Self {
        let mut storm = Self {
            due: BTreeMap::new(),
            added: 0,
            random: plan.random.as_ref().map(|random| {
                RandomFaults::new(seed)
                    .every(random.every)
                    .lasting(random.lasting)
                    .of(random.kinds.iter().copied())
            }),
        };
        for fixed in &plan.fixed {
            storm.add(fixed.at, Deed::Fixed(fixed.clone()));
        }
        let first = storm.random.as_mut().and_then(Iterator::next);
        if let (Some(chance), Some(random)) = (first, &plan.random) {
            // Not later than the usual time between two: a first look at chaos lasts some seconds.
            storm.add(chance.after.min(random.every), Deed::Random(chance));
        }
        storm
    }

    fn add(&mut self, at: Duration, deed: Deed) {
        self.due.insert((at, self.added), deed);
        self.added += 1;
    }

    fn draw(&mut self, now: Duration) {
        if let Some(chance) = self.random.as_mut().and_then(Iterator::next) {
            self.add(now + chance.after, Deed::Random(chance));
        }
    }

    fn undo_later(&mut self, at: Duration, fault: &Fault, lasts: Option<Duration>) {
        if let (Some(undo), Some(lasts)) = (fault.undo(), lasts) {
            self.add(at + lasts, Deed::Undo(undo));
        }
    }

    /// Plays until nothing is left to happen, or until it is dropped.
    pub(crate) async fn play(self, proxy: &ChaosProxy) {
        let begun = tokio::time::sleep(Duration::ZERO).deadline();
        for (at, fault) in self {
            tokio::time::sleep_until(begun + at).await;
            proxy.apply(&fault);
        }
    }
}

impl Iterator for Storm {
    type Item = (Duration, Fault);

    fn next(&mut self) -> Option<(Duration, Fault)> {
        let ((at, _), deed) = self.due.pop_first()?;
        let fault = match deed {
            Deed::Undo(fault) => fault,
            Deed::Fixed(fixed) => {
                self.undo_later(at, &fixed.fault, fixed.lasts);
                if let Some(repeat) = fixed.repeat {
                    self.add(at + repeat, Deed::Fixed(fixed.clone()));
                }
                fixed.fault
            }
            Deed::Random(chance) => {
                self.undo_later(at, &chance.fault, chance.lasts);
                self.draw(at);
                chance.fault
            }
        };
        Some((at, fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::plan::Random;

    fn seconds(faults: impl Iterator<Item = (Duration, Fault)>) -> Vec<(u64, &'static str)> {
        faults.map(|(at, fault)| (at.as_secs(), fault.name())).collect()
    }

    fn fixed(at: u64, fault: Fault) -> Fixed {
        Fixed {
            at: Duration::from_secs(at),
            fault,
            lasts: None,
            repeat: None,
        }
    }

    #[test]
    fn fixed_faults_last_and_are_repeated_in_order_of_time() {
        let plan = ChaosPlan {
            random: None,
            fixed: vec![
                Fixed {
                    lasts: Some(Duration::from_secs(3)),
                    repeat: Some(Duration::from_secs(10)),
                    ..fixed(
                        5,
                        Fault::Latency {
                            delay: Duration::from_secs(1),
                            jitter: Duration::ZERO,
                        },
                    )
                },
                fixed(6, Fault::Cut),
            ],
            ..ChaosPlan::default()
        };
        assert_eq!(
            seconds(Storm::new(&plan, 1).take(5)),
            [
                (5, "latency"),
                (6, "cut"),
                (8, "latency"),
                (15, "latency"),
                (18, "latency")
            ]
        );
    }

    #[test]
    fn a_first_look_at_chaos_sees_a_fault_in_its_first_seconds() {
        for seed in 0..500 {
            let (at, _) = Storm::new(&ChaosPlan::default(), seed).next().expect("a fault");
            assert!(at <= Duration::from_secs(5), "seed {seed}: {at:?}");
        }
    }

    #[test]
    fn a_storm_is_the_same_for_the_same_seed() {
        let plan = ChaosPlan {
            random: Some(Random {
                every: Duration::from_secs(1),
                lasting: Duration::from_secs(1),
                kinds: windlass_testkit::chaos::FaultKind::ALL.to_vec(),
            }),
            fixed: vec![fixed(3, Fault::Cut)],
            ..ChaosPlan::default()
        };
        let storm = |seed| Storm::new(&plan, seed).take(200).collect::<Vec<_>>();
        assert_eq!(storm(7), storm(7));
        assert_ne!(storm(7), storm(8));
        assert!(storm(7).is_sorted_by_key(|(at, _)| *at));
    }
}
