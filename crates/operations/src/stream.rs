//! Events of gateways, changes of lines, and activities, as one stream that can be continued.
//!
//! ```text
//!   journal ─ one reader ─▶ ring ─┐
//!   activities ─ one look ▶ ring ─┼─▶ viewers, each with a position; one that is behind reads the store by itself
//!   lines ──── one watch ─▶ board ┘
//! ```
//!
//! A viewer has no queue. It takes entries after its position from the rings, which are bounded. One that is slower than the rings
//! is told so, reads the store until it has caught up, and comes back.

mod cursor;
mod feed;
mod lines;
mod ring;
mod viewer;

pub use cursor::StreamCursor;
pub(crate) use feed::Feed;
pub use viewer::{EventStream, StreamItem, StreamQuery, open};
