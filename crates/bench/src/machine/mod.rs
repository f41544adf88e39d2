//! Facilities of the machine: time, CPU time, memory, limits, pinning to a CPU.

mod clock;
mod limits;
mod memory;
mod pin;

pub use clock::{cpu_time, now};
pub use limits::{OpenFiles, raise_open_files};
pub use memory::resident;
pub use pin::{become_pinned, cpus, pin};
