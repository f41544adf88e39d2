//! The rules of single releases, each a function or a bound with its source.

use std::time::Duration;

/// Most text kept of one run, in bytes: more than the largest frame of ordinary use, and a bound for a model gone wild. Text
/// past it is cut and the answer says so.
pub const TEXT_LIMIT: usize = 8 * 1024 * 1024;

/// After a lifecycle error a retry of the same run starts within 2, 4 or 8 s (2026.4.15 and 2026.5.12); when none did for so
/// long the run has failed, and no other event says so.
pub const RETRY_WINDOW: Duration = Duration::from_secs(15);

/// How soon after a bare final the run that goes on with the text begins: 0.05 to 0.2 s seen, 25 s for a first turn.
pub const RUN_ADOPTED_WITHIN: Duration = Duration::from_secs(30);
