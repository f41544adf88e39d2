//! A direction that stands still.

/// Whether a direction is stalled. Waiting bytes are kept, and continue in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stall(pub(crate) bool);

impl Stall {
    pub(crate) const fn is_on(self) -> bool {
        self.0
    }
}
