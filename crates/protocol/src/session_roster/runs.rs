//! The runs of one session.

/// Most runs noted for one session; a session runs one at a time, so more are strays whose ends were lost.
pub const RUNS_KEPT: usize = 16;
