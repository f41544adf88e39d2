//! What can be seen of calls and lines from outside: spans of `tracing`, and metrics with the feature `metrics`.
//!
//! Parameters and payloads are never part of it. The names stand in docs/performance.md and are kept stable.

mod call;
#[cfg(feature = "metrics")]
mod meters;
#[cfg(not(feature = "metrics"))]
#[path = "unmetered.rs"]
mod meters;

pub(crate) use call::Observed;
pub(crate) use meters::{CallMeter, LineMeter, MethodMeter, blocked, restarted};

/// A call that ended with a payload.
const OK: &str = "ok";
/// A call whose caller went away.
const CANCELLED: &str = "cancelled";
