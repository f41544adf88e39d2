//! Events: their names, their typed payloads, and the keys that route them.

use crate::open::open_object;

open_object! {
    /// `stateVersion` of a frame or a snapshot: counters that go up with each change, from 1 at a gateway's start.
    pub struct StateVersion: Default {
        optional {
            /// Of the presence list.
            presence: u64 = "presence",
            /// Of the health summary.
            health: u64 = "health",
        }
    }
}
