//! One call, as it is seen from outside.

use std::time::Instant;

use tracing::Span;
use tracing::field::Empty;
use windlass_protocol::{CallError, GatewayId, Generation, MethodName};

use super::{CANCELLED, CallMeter, MethodMeter, OK};
use crate::clock::Clock;

/// Watches one call from its start to its end. Costs next to nothing without a subscriber.
pub(crate) struct CallSpan {
    span: Span,
    /// `None` where no recorder wants its duration.
    watch: Option<Watch>,
}

struct Watch {
    began: Instant,
    /// Nothing where calls are not counted.
    method: Option<MethodMeter>,
}

impl CallSpan {
    /// The call begins.
    pub(crate) fn begin(gateway: &GatewayId, method: &MethodName, now: Instant, meter: &CallMeter) -> Self {
        let span = tracing::debug_span!(
            target: "windlass::call",
            "call",
            gateway = gateway.as_str(),
            method = method.as_str(),
            outcome = Empty,
            generation = Empty,
            duration_ms = Empty,
        );
        let method = meter.of(method);
        let wanted = method.is_some() || !span.is_disabled();
        let watch = wanted.then_some(Watch { began: now, method });
        Self { span, watch }
    }

    /// The call ended; `generation` is the connection that carried it last, if one did.
    pub(crate) fn end<T>(&mut self, end: &Result<T, CallError>, generation: Option<Generation>, clock: &dyn Clock) {
        if let Some(watch) = self.watch.take() {
            let outcome = end.as_ref().map_or_else(CallError::name, |_| OK);
            self.tell(&watch, outcome, generation, clock.now());
        }
    }

    /// The caller went away. Nothing where the call ended before.
    pub(crate) fn cancelled(&mut self, clock: &dyn Clock) {
        if let Some(watch) = self.watch.take() {
            self.tell(&watch, CANCELLED, None, clock.now());
        }
    }

    fn tell(&mut self, watch: &Watch, outcome: &'static str, generation: Option<Generation>, now: Instant) {
        let took = now.saturating_duration_since(watch.began);
        if let Some(method) = &watch.method {
            method.ended(outcome, took);
        }
        // The span ends now, and not when the future is dropped that carried it.
        let span = std::mem::replace(&mut self.span, Span::none());
        if !span.is_disabled() {
            let generation = generation.map(Generation::number);
            let duration_ms = took.as_secs_f64() * 1e3;
            tracing::record_all!(
                span,
                outcome = outcome,
                generation = generation,
                duration_ms = duration_ms
            );
        }
    }
}
