//! Time as it passes for people, and for the processor.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The time that passes.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures the real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// The processor time that all threads of this process have used, in user mode and in the kernel.
pub fn cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(used.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(used.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}
