//! The randomness that worlds are made of.

use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Draws from a seed; the same seed draws the same.
#[derive(Debug)]
pub(crate) struct Dice(StdRng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Separate dice for a part, so that draws for the part do not change the draws elsewhere.
    pub(crate) fn part(&mut self) -> Self {
        Self::new(self.0.random())
    }

    pub(crate) fn seed(&mut self) -> u64 {
        self.0.random()
    }

    pub(crate) fn count(&mut self, range: Range<usize>) -> usize {
        self.0.random_range(range)
    }

    /// Whether one of so many comes up.
    pub(crate) fn one_in(&mut self, sides: u32) -> bool {
        self.0.random_range(0..sides) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.random_range(0..of.len())]
    }

    pub(crate) fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.0.random_range(range))
    }

    /// A time around a mean, as between accidents that know nothing of each other; four times the mean at most.
    pub(crate) fn around(&mut self, mean: Duration) -> Duration {
        let chance: f64 = self.0.random_range(0.0..1.0);
        let time = mean.mul_f64((-(1.0 - chance).ln()).min(4.0));
        // Whole milliseconds, as timers are.
        Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) const fn rng(&mut self) -> &mut StdRng {
        &mut self.0
    }
}
