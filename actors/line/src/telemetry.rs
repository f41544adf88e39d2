//! Calls and lines as seen from outside: spans of `tracing`, and metrics with the feature `metrics`.
//!
//! Parameters and payloads are never part of it. The names stand in docs/performance.md and are kept stable.

#[cfg(all(test, feature = "metrics"))]
mod bad_recorder;
mod call;
#[cfg(feature = "metrics")]
mod meters;
#[cfg(not(feature = "metrics"))]
#[path = "telemetry/unmetered.rs"]
mod meters;

pub(crate) use call::CallSpan;
pub use meters::describe;
pub(crate) use meters::{CallMeter, LineMeter, MethodMeter, blocked, restarted};

/// How much of a line the recorder of metrics is told (feature `metrics`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Metering {
    /// Nothing.
    Off,
    /// The line by its gateway, its calls by method and outcome.
    #[default]
    On,
    /// The same, and calls by gateway too: as many series for each gateway as its methods have outcomes.
    CallsByGateway,
}

/// A call that ended with a payload.
const OK: &str = "ok";
/// A call that was dropped by its caller.
const CANCELLED: &str = "cancelled";
