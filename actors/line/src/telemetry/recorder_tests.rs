//! A recorder of the host that panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use windlass_protocol::{GatewayId, Generation, MethodName};

use super::{CallMeter, LineMeter, Metering, OK, blocked, restarted};

/// A recorder that panics: when it is asked for handles, or when these are used and dropped.
struct Panics {
    at_registration: bool,
    handle: Arc<Handle>,
}

#[derive(Default)]
struct Handle(AtomicUsize);

impl Handle {
    fn used(&self) -> ! {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("the host's recorder panics");
    }
}

impl CounterFn for Handle {
    fn increment(&self, _: u64) {
        self.used()
    }

    fn absolute(&self, _: u64) {
        self.used()
    }
}

impl GaugeFn for Handle {
    fn increment(&self, _: f64) {
        self.used()
    }

    fn decrement(&self, _: f64) {
        self.used()
    }

    fn set(&self, _: f64) {
        self.used()
    }
}

impl HistogramFn for Handle {
    fn record(&self, _: f64) {
        self.used()
    }
}

impl Panics {
    fn handle(&self) -> Arc<Handle> {
        if self.at_registration {
            self.handle.used();
        }
        Arc::clone(&self.handle)
    }
}

impl Recorder for Panics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.handle())
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.handle())
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.handle())
    }
}

#[test]
fn a_recorder_that_panics_costs_its_figures_only() {
    for at_registration in [true, false] {
        let handle = Arc::new(Handle::default());
        let recorder = Panics {
            at_registration,
            handle: Arc::clone(&handle),
        };
        metrics::with_local_recorder(&recorder, || {
            let id = GatewayId::new("gw").unwrap();
            let line = LineMeter::new(&id, Metering::CallsByGateway);
            line.calls(1, 2);
            line.event();
            line.gap(1);
            line.lagged(1);
            line.up(Generation::new(1), UNIX_EPOCH);
            line.ended("closed");
            let calls = CallMeter::new(&id, Metering::CallsByGateway);
            for method in ["health", "health", "chat.send"] {
                let meter = calls.of(&MethodName::new(method).unwrap()).unwrap();
                meter.ended(OK, Duration::from_millis(1));
                meter.ended("another", Duration::from_millis(1));
            }
            restarted("test");
            blocked("test");
        });
        assert!(handle.0.load(Ordering::Relaxed) >= 12, "{at_registration}");
    }
}
