//! The faults of one direction of a connection, one file for each fault.

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
pub(crate) struct TrafficShaper {
    pub(crate) stall: Stall,
    /// Added to each chunk.
    pub(crate) latency: Latency,
    /// Of writing to the far side.
    pub(crate) bandwidth: Bandwidth,
    /// The bandwidth of reading from the near side: unread bytes fill the sender's buffers.
    pub(crate) reading: Bandwidth,
    pub(crate) slicing: Slicing,
}
