//! So many bytes in a second, and no more.

use std::time::Duration;

/// Bytes are let through in slices of this length.
const SLICE: Duration = Duration::from_millis(50);

/// A bound in bytes per second; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bandwidth(pub(crate) Option<u64>);

impl Bandwidth {
    /// How many of `len` bytes may go at once (one at least), and how long to wait after them.
    pub(crate) fn slice(self, len: usize) -> (usize, Option<Duration>) {
        let Some(rate) = self.0 else { return (len, None) };
        let slice = rate.saturating_mul(u64::try_from(SLICE.as_millis()).unwrap_or(1)) / 1000;
        let slice = usize::try_from(slice).unwrap_or(usize::MAX).clamp(1, len.max(1));
        (slice, Some(SLICE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_a_twentieth_of_a_second_and_never_nothing() {
        assert_eq!(Bandwidth(None).slice(9), (9, None));
        assert_eq!(Bandwidth(Some(1000)).slice(900), (50, Some(SLICE)));
        assert_eq!(Bandwidth(Some(1000)).slice(9), (9, Some(SLICE)));
        assert_eq!(Bandwidth(Some(0)).slice(9), (1, Some(SLICE)));
    }
}
