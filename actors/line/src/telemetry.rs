//! Calls and lines as seen from outside: spans of `tracing`, and metrics with the feature `metrics`.
//!
//! Parameters and payloads are never part of it. The names stand in docs/performance.md and are kept stable.

#[cfg(feature = "metrics")]
mod meters;

#[cfg(feature = "metrics")]
pub use meters::describe;
#[cfg(feature = "metrics")]
pub(crate) use meters::{CallMeter, LineMeter, MethodMeter, blocked, restarted};
#[cfg(not(feature = "metrics"))]
pub use unmetered::describe;
#[cfg(not(feature = "metrics"))]
pub(crate) use unmetered::{
    UnmeteredCalls as CallMeter, UnmeteredLine as LineMeter, UnmeteredMethod as MethodMeter, blocked, restarted,
};

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
pub(crate) const OK: &str = "ok";
/// A call that was dropped by its caller.
pub(crate) const CANCELLED: &str = "cancelled";

/// The interface of the metrics, compiled to nothing.
#[cfg(not(feature = "metrics"))]
mod unmetered {
    use std::time::{Duration, SystemTime};

    use windlass_protocol::{GatewayId, Generation, MethodName};

    use super::Metering;

    /// Gives the recorder a description of each metric; here there is none.
    pub const fn describe() {}

    #[derive(Debug)]
    pub(crate) struct UnmeteredCalls;

    #[expect(clippy::unused_self, reason = "the interface of the other one")]
    impl UnmeteredCalls {
        pub(crate) const fn new(_gateway: &GatewayId, _metering: Metering) -> Self {
            Self
        }

        pub(crate) const fn of(&self, _method: &MethodName) -> Option<UnmeteredMethod> {
            None
        }
    }

    /// There is none.
    #[derive(Debug)]
    pub(crate) enum UnmeteredMethod {}

    impl UnmeteredMethod {
        pub(crate) const fn ended(&self, _outcome: &'static str, _took: Duration) {
            match *self {}
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct UnmeteredLine;

    #[expect(clippy::unused_self, reason = "the interface of the other one")]
    impl UnmeteredLine {
        pub(crate) const fn new(_id: &GatewayId, _metering: Metering) -> Self {
            Self
        }

        pub(crate) const fn calls(&self, _in_flight: usize, _waiting: usize) {}

        pub(crate) const fn event(&self) {}

        pub(crate) const fn gap(&self, _lost: u64) {}

        pub(crate) const fn lagged(&self, _dropped: u64) {}

        pub(crate) const fn up(&self, _generation: Generation, _at: SystemTime) {}

        pub(crate) const fn ended(&self, _reason: &'static str) {}
    }

    pub(crate) const fn restarted(_what: &'static str) {}

    pub(crate) const fn blocked(_what: &'static str) {}
}

#[cfg(all(test, feature = "metrics"))]
mod recorder_tests;
