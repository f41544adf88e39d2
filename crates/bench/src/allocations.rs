//! Counts allocations, in a program that was built for this.

use std::alloc::System;

use stats_alloc::StatsAlloc;

/// The counting allocator, where the program has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allocations(Option<&'static StatsAlloc<System>>);

impl Allocations {
    /// The program allocates through `counting`.
    pub const fn counted(counting: &'static StatsAlloc<System>) -> Self {
        Self(Some(counting))
    }

    /// Blocks that were asked for since the start, grown ones included; nothing where they are not counted.
    pub fn count(self) -> Option<u64> {
        let stats = self.0?.stats();
        Some((stats.allocations + stats.reallocations) as u64)
    }

    /// Bytes that are asked for and not given back; nothing where they are not counted.
    pub fn bytes(self) -> Option<u64> {
        // (`bytes_allocated` and `bytes_deallocated` have the grown and shrunk blocks in them.)
        let stats = self.0?.stats();
        Some(stats.bytes_allocated.saturating_sub(stats.bytes_deallocated) as u64)
    }
}
