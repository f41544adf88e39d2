//! The events of gateways, kept: recorded into a store's journal, and read from any place in it.
//!
//! ```text
//!   Line ─▶ subscription ─┐                                        ┌─▶ Trail (from the start, a cursor, a consumer's place)
//!   Line ─▶ subscription ─┼─▶ recorder ── a batch, one fsync ─▶ store's journal ─▶ Trail
//!   Line ─▶ subscription ─┘      └── prunes, in small steps ──────▶┘
//! ```
//!
//! Readers read the store and nothing else, so what is kept and what is live are one stream: there is no seam for anything to be
//! lost or doubled at. An event is shown when it is safe, some milliseconds after it came.
//!
//! Nothing makes a line wait. What the store can't take for so long that the queues run over is dropped by the router, oldest
//! first, and stands in the journal as the `lagged` marker that the router leaves in its place. Where a recorder begins to record
//! a gateway it leaves a `began`, and an `ended` where it stops: between an entry and the `began` behind it is a hole, however the
//! recorder before ended.

mod batch;
mod entry;
mod item;
mod place;
mod recorder;
mod recording;
mod repeats;
mod stamps;
mod status;
#[cfg(test)]
mod tests;
mod trail;

pub use item::{Recorded, RecordedMarker, TrailItem, What};
pub use place::Place;
pub use recorder::{DEFAULT_BACKLOG, Recorder, RecorderError, RecorderSettings, Recording, STOP_WITHIN, WeakRecorder};
pub use status::{RecorderState, RecorderStatus, Stall};
pub use trail::{FOLLOW_POLL, Trail, TrailFilter};
