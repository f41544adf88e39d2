//! Which CPU a process runs on.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The CPUs that this process may run on, lowest first.
pub fn cpus() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else {
        return vec![0];
    };
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// Keeps this thread, and those that it starts, on one CPU.
///
/// # Errors
/// When there is no such CPU for this process.
pub fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// Becomes another program on one CPU. Returns only if that fails.
pub fn become_pinned(cpu: usize, program: &[OsString]) -> io::Error {
    let Some((program, args)) = program.split_first() else {
        return io::ErrorKind::InvalidInput.into();
    };
    match pin(cpu) {
        Ok(()) => Command::new(program).args(args).exec(),
        Err(error) => error,
    }
}
