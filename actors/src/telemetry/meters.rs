//! Metrics, by the `metrics` facade. A recorder has to be installed before Windlass starts: handles are asked for once.
//!
//! A recorder is code of the host, so all that it does is done in a guard: what panics is missing in its figures, and nowhere else.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use rustc_hash::FxHashMap;
use tracing::{Foreign, guard};
use windlass_protocol::{GatewayId, Generation, MethodName};

/// Methods that are counted by name on one line; 2026.9.6 has 466. What comes after them is counted as `other`, so that a
/// caller with a name of its own for each call does not fill a recorder.
const MAX_METHODS: usize = 512;

/// The ends of a call, those that come most first.
const OUTCOMES: [&str; 6] = [
    super::OK,
    "rejected",
    "not_sent",
    "unknown",
    "timed_out",
    super::CANCELLED,
];

/// The calls of one line, by method and outcome; nothing where they are not to be counted.
#[derive(Debug)]
pub(crate) struct CallMeter(Option<Mutex<FxHashMap<MethodName, MethodMeter>>>);

/// The calls of one method. Cheap to clone; the clones share.
#[derive(Clone)]
pub(crate) struct MethodMeter(Arc<MethodHandles>);

struct MethodHandles {
    method: Cow<'static, str>,
    seconds: Foreign<Histogram>,
    /// In the order of [`OUTCOMES`]; each asked for when it is first needed, so that none shows that never was.
    outcomes: [OnceLock<Foreign<Counter>>; OUTCOMES.len()],
}

impl std::fmt::Debug for MethodMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MethodMeter").finish_non_exhaustive()
    }
}

impl CallMeter {
    pub(crate) fn new(on: bool) -> Self {
        Self(on.then(Mutex::default))
    }

    /// Where this method's calls are counted; nothing where none are.
    pub(crate) fn of(&self, method: &MethodName) -> Option<MethodMeter> {
        let mut methods = self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = methods.get(method) {
            return Some(meter.clone());
        }
        if methods.len() >= MAX_METHODS {
            return Some(MethodMeter::new(Cow::Borrowed("other")));
        }
        let meter = MethodMeter::new(Cow::Owned(method.as_str().to_owned()));
        methods.insert(method.clone(), meter.clone());
        Some(meter)
    }
}

impl MethodMeter {
    fn new(method: Cow<'static, str>) -> Self {
        Self(Arc::new(MethodHandles {
            seconds: Foreign::new(|| histogram!("windlass_call_seconds", "method" => method.clone())),
            method,
            outcomes: Default::default(),
        }))
    }

    /// A call of this method ended.
    pub(crate) fn ended(&self, outcome: &'static str, took: Duration) {
        let handles = &*self.0;
        handles.seconds.with(|seconds| seconds.record(took.as_secs_f64()));
        let asked = || {
            Foreign::new(|| counter!("windlass_calls_total", "method" => handles.method.clone(), "outcome" => outcome))
        };
        match OUTCOMES.iter().position(|known| *known == outcome) {
            Some(index) => one_more(handles.outcomes[index].get_or_init(asked)),
            None => one_more(&asked()),
        }
    }
}

/// One line; nothing where it is not to be counted.
#[derive(Default)]
pub(crate) struct LineMeter(Option<Box<LineHandles>>);

struct LineHandles {
    in_flight: Foreign<Gauge>,
    waiting: Foreign<Gauge>,
    events: Foreign<Counter>,
    gaps: Foreign<Counter>,
    lagged: Foreign<Counter>,
    generation: Foreign<Gauge>,
    up_since: Foreign<Gauge>,
    gateway: GatewayId,
}

impl std::fmt::Debug for LineMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineMeter").finish_non_exhaustive()
    }
}

impl LineMeter {
    pub(crate) fn new(gateway: &GatewayId, on: bool) -> Self {
        let id = || gateway.as_str().to_owned();
        let handles = || LineHandles {
            in_flight: Foreign::new(|| gauge!("windlass_calls_in_flight", "gateway" => id())),
            waiting: Foreign::new(|| gauge!("windlass_calls_waiting", "gateway" => id())),
            events: Foreign::new(|| counter!("windlass_events_total", "gateway" => id())),
            gaps: Foreign::new(|| counter!("windlass_events_lost_total", "gateway" => id(), "why" => "gap")),
            lagged: Foreign::new(|| counter!("windlass_events_lost_total", "gateway" => id(), "why" => "lag")),
            generation: Foreign::new(|| gauge!("windlass_line_generation", "gateway" => id())),
            up_since: Foreign::new(|| gauge!("windlass_line_up_since_seconds", "gateway" => id())),
            gateway: gateway.clone(),
        };
        Self(on.then(|| Box::new(handles())))
    }

    /// The calls that the line holds.
    #[expect(clippy::cast_precision_loss, reason = "a queue's length")]
    pub(crate) fn calls(&self, in_flight: usize, waiting: usize) {
        if let Some(handles) = &self.0 {
            set(&handles.in_flight, in_flight as f64);
            set(&handles.waiting, waiting as f64);
        }
    }

    /// An event came.
    pub(crate) fn event(&self) {
        if let Some(handles) = &self.0 {
            one_more(&handles.events);
        }
    }

    /// The gateway dropped events.
    pub(crate) fn gap(&self, lost: u64) {
        if let Some(handles) = &self.0 {
            handles.gaps.with(|gaps| gaps.increment(lost));
        }
    }

    /// A subscriber was too slow for so many.
    pub(crate) fn lagged(&self, dropped: u64) {
        if let Some(handles) = &self.0 {
            handles.lagged.with(|lagged| lagged.increment(dropped));
        }
    }

    /// A connection reached hello-ok.
    #[expect(clippy::cast_precision_loss, reason = "connections are counted, not measured")]
    pub(crate) fn up(&self, generation: Generation, at: SystemTime) {
        if let Some(handles) = &self.0 {
            set(&handles.generation, generation.number() as f64);
            let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
            set(&handles.up_since, since.as_secs_f64());
        }
    }

    /// A connection, or an attempt at one, ended. The line has none now: 0 stands for that.
    pub(crate) fn ended(&self, reason: &'static str) {
        if let Some(handles) = &self.0 {
            set(&handles.up_since, 0.0);
            self.calls(0, 0);
            let gateway = handles.gateway.as_str().to_owned();
            guard(|| {
                counter!("windlass_connections_ended_total", "gateway" => gateway, "reason" => reason).increment(1);
            });
        }
    }
}

fn one_more(counter: &Foreign<Counter>) {
    counter.with(|counter| counter.increment(1));
}

fn set(gauge: &Foreign<Gauge>, value: f64) {
    gauge.with(|gauge| gauge.set(value));
}

/// Something that panicked was started again.
pub(crate) fn restarted(what: &'static str) {
    guard(|| counter!("windlass_restarts_total", "what" => what).increment(1));
}

/// A turn held its thread up.
pub(crate) fn blocked(what: &'static str) {
    guard(|| counter!("windlass_blocked_turns_total", "what" => what).increment(1));
}
