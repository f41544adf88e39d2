//! What can be done to one direction of a connection, each thing in a file of its own.

pub(crate) mod bandwidth;
pub(crate) mod latency;
pub(crate) mod slicing;
pub(crate) mod stall;

use bandwidth::Bandwidth;
use latency::Latency;
use slicing::Slicing;
use stall::Stall;

/// The switches of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lane {
    pub(crate) stall: Stall,
    /// Added to each chunk.
    pub(crate) latency: Latency,
    /// Of writing to the far side.
    pub(crate) bandwidth: Bandwidth,
    /// Of reading from the near side: what is not read fills the sender's buffers.
    pub(crate) reading: Bandwidth,
    pub(crate) slicing: Slicing,
}
