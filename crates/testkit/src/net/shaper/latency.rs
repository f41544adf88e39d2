//! Time on the way, the same for each chunk or not.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::Instant;

/// Time that each chunk takes, and how much longer it may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Latency {
    pub(crate) delay: Duration,
    pub(crate) jitter: Duration,
}

impl Latency {
    /// When a chunk that was read now is there. Never before the one that was read before it: a stream keeps its order.
    pub(crate) fn due(self, now: Instant, before: Instant, rng: &mut StdRng) -> Instant {
        let jitter = if self.jitter.is_zero() {
            Duration::ZERO
        } else {
            self.jitter.mul_f64(rng.random_range(0.0..1.0))
        };
        (now + self.delay + jitter).max(before)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn jitter_is_bounded_and_changes_no_order() {
        let (mut rng, start) = (StdRng::seed_from_u64(3), crate::net::now());
        let latency = Latency {
            delay: Duration::from_millis(100),
            jitter: Duration::from_millis(50),
        };
        let mut before = start;
        for _ in 0..1000 {
            let due = latency.due(start, before, &mut rng);
            assert!(due >= before && due - start >= latency.delay);
            assert!(due - start < latency.delay + latency.jitter);
            before = due;
        }
    }
}
