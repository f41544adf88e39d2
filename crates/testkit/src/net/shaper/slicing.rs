//! A stream in small pieces: one frame in many TCP segments, and the end of one with the beginning of the next.

use std::num::NonZeroUsize;

/// The largest piece that is written at once; all that there is, by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slicing(pub(crate) Option<NonZeroUsize>);

impl Slicing {
    /// How many of `len` bytes go at once.
    pub(crate) fn piece(self, len: usize) -> usize {
        self.0.map_or(len, |most| most.get().min(len))
    }

    /// Whether the reader is to get each piece by itself.
    pub(crate) const fn is_on(self) -> bool {
        self.0.is_some()
    }
}
