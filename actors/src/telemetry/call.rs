//! One call, as it is seen from outside.

use std::time::Instant;

use tracing::Span;
use tracing::field::Empty;
use windlass_protocol::{CallError, GatewayId, Generation, MethodName};

use super::{CANCELLED, CallMeter, OK};
use crate::clock::Clock;

/// Watches one call from its start to its end. Costs nothing to speak of where nobody looks.
pub(crate) struct Observed<'a> {
    span: Span,
    /// Nothing where nobody wants to know how long it took.
    watch: Option<Watch<'a>>,
}

struct Watch<'a> {
    began: Instant,
    clock: &'a dyn Clock,
    meter: &'a CallMeter,
    /// Kept only for the meter: the call itself takes its method along.
    method: Option<MethodName>,
}

impl<'a> Observed<'a> {
    /// The call begins.
    pub(crate) fn begin(gateway: &GatewayId, method: &MethodName, clock: &'a dyn Clock, meter: &'a CallMeter) -> Self {
        let span = tracing::debug_span!(
            target: "windlass::call",
            "call",
            gateway = gateway.as_str(),
            method = method.as_str(),
            outcome = Empty,
            generation = Empty,
            duration_ms = Empty,
        );
        let wanted = meter.is_on() || !span.is_disabled();
        let watch = wanted.then(|| Watch {
            began: clock.now(),
            clock,
            meter,
            method: meter.is_on().then(|| method.clone()),
        });
        Self { span, watch }
    }

    /// The call ended; `generation` is the connection that carried it last, if one did.
    pub(crate) fn end<T>(mut self, end: &Result<T, CallError>, generation: Option<Generation>) {
        if self.watch.is_some() {
            let outcome = end.as_ref().map_or_else(CallError::name, |_| OK);
            self.tell(outcome, generation);
        }
    }

    fn tell(&mut self, outcome: &'static str, generation: Option<Generation>) {
        let Some(watch) = self.watch.take() else { return };
        let took = watch.clock.now().saturating_duration_since(watch.began);
        if let Some(method) = &watch.method {
            watch.meter.ended(method, outcome, took);
        }
        if !self.span.is_disabled() {
            self.span.record("outcome", outcome);
            self.span.record("duration_ms", took.as_secs_f64() * 1e3);
            if let Some(generation) = generation {
                self.span.record("generation", generation.number());
            }
        }
    }
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        self.tell(CANCELLED, None);
    }
}
