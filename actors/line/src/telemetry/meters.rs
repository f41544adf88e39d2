//! Metrics, by the `metrics` facade. A recorder has to be installed before Windlass starts: handles are asked for once.
//!
//! A recorder is code of the host, so all its work is done in a guard: a record that panics is missing in its figures, and nowhere else.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{
    Counter, Gauge, Histogram, Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use rustc_hash::FxHashMap;
use tracing::{Foreign, guard};
use windlass_protocol::{GatewayId, Generation, MethodName};

use super::Metering;

/// Methods that are counted by name on one line; 2026.9.6 has 466. Later ones are counted as `other`, so that a
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
pub(crate) struct CallMeter(Option<MethodMeters>);

#[derive(Debug)]
struct MethodMeters {
    /// The value of the label `gateway`, where calls have one.
    gateway: Option<GatewayId>,
    by_method: Mutex<FxHashMap<MethodName, MethodMeter>>,
}

/// The calls of one method. Cheap to clone; the clones share.
#[derive(Clone)]
pub(crate) struct MethodMeter(Arc<MethodHandles>);

struct MethodHandles {
    labels: Vec<Label>,
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
    pub(crate) fn new(gateway: &GatewayId, metering: Metering) -> Self {
        let gateway = match metering {
            Metering::Off => return Self(None),
            Metering::On => None,
            Metering::CallsByGateway => Some(gateway.clone()),
        };
        Self(Some(MethodMeters {
            gateway,
            by_method: Mutex::default(),
        }))
    }

    /// Where this method's calls are counted; nothing where none are.
    pub(crate) fn of(&self, method: &MethodName) -> Option<MethodMeter> {
        let MethodMeters { gateway, by_method } = self.0.as_ref()?;
        let mut methods = by_method.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = methods.get(method) {
            return Some(meter.clone());
        }
        if methods.len() >= MAX_METHODS {
            return Some(MethodMeter::new(Cow::Borrowed("other"), gateway.as_ref()));
        }
        let meter = MethodMeter::new(Cow::Owned(method.as_str().to_owned()), gateway.as_ref());
        methods.insert(method.clone(), meter.clone());
        Some(meter)
    }
}

impl MethodMeter {
    fn new(method: Cow<'static, str>, gateway: Option<&GatewayId>) -> Self {
        let mut labels = vec![Label::new("method", method)];
        labels.extend(gateway.map(|id| Label::new("gateway", id.as_str().to_owned())));
        Self(Arc::new(MethodHandles {
            seconds: Foreign::new(|| histogram!("windlass_call_seconds", labels.clone())),
            labels,
            outcomes: Default::default(),
        }))
    }

    /// A call of this method ended.
    pub(crate) fn ended(&self, outcome: &'static str, took: Duration) {
        let handles = &*self.0;
        handles.seconds.with(|seconds| seconds.record(took.as_secs_f64()));
        let asked = || {
            Foreign::new(|| {
                let mut labels = handles.labels.clone();
                labels.push(Label::new("outcome", outcome));
                counter!("windlass_calls_total", labels)
            })
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
    pub(crate) fn new(gateway: &GatewayId, metering: Metering) -> Self {
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
        Self((metering != Metering::Off).then(|| Box::new(handles())))
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

/// Gives the recorder a description of each metric: exporters show it as the metric's help.
pub fn describe() {
    guard(|| {
        describe_histogram!(
            "windlass_call_seconds",
            Unit::Seconds,
            "Time from a call's start to its end, whatever its outcome"
        );
        describe_counter!(
            "windlass_calls_total",
            "Calls that ended, by method and outcome: ok, rejected, not_sent, unknown, timed_out, cancelled"
        );
        describe_gauge!(
            "windlass_calls_in_flight",
            "Requests that were sent and are not answered yet"
        );
        describe_gauge!("windlass_calls_waiting", "Calls that wait to be sent");
        describe_counter!("windlass_events_total", "Events that came from the gateway");
        describe_counter!(
            "windlass_events_lost_total",
            "Events lost: dropped by the gateway (why=gap) or by a slow subscriber (why=lag)"
        );
        describe_gauge!(
            "windlass_line_generation",
            "Connections of the line that reached hello-ok"
        );
        describe_gauge!(
            "windlass_line_up_since_seconds",
            Unit::Seconds,
            "Unix time at which the line came up; 0 while it is down"
        );
        describe_counter!(
            "windlass_connections_ended_total",
            "Connections and attempts to connect that ended, by reason"
        );
        describe_counter!(
            "windlass_restarts_total",
            "Actors and tasks that panicked and were started again"
        );
        describe_counter!(
            "windlass_blocked_turns_total",
            "Turns of a task that blocked a shard thread"
        );
    });
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use metrics::{Key, KeyName, Metadata, Recorder, SharedString};

    use super::*;

    /// Keeps the names, labels and helps of all metrics that it is asked for.
    #[derive(Default)]
    struct Names {
        helps: Mutex<BTreeMap<String, String>>,
        series: Mutex<BTreeSet<String>>,
    }

    impl Names {
        fn describe(&self, name: &KeyName, help: &SharedString) {
            let mut helps = self.helps.lock().unwrap();
            helps.insert(name.as_str().to_owned(), help.to_string());
        }

        fn register(&self, key: &Key) {
            let labels: Vec<_> = key
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            self.series
                .lock()
                .unwrap()
                .insert(format!("{} {}", key.name(), labels.join(",")));
        }

        fn series(&self) -> Vec<String> {
            self.series.lock().unwrap().iter().cloned().collect()
        }
    }

    impl Recorder for Names {
        fn describe_counter(&self, key: KeyName, _: Option<Unit>, help: SharedString) {
            self.describe(&key, &help);
        }

        fn describe_gauge(&self, key: KeyName, _: Option<Unit>, help: SharedString) {
            self.describe(&key, &help);
        }

        fn describe_histogram(&self, key: KeyName, _: Option<Unit>, help: SharedString) {
            self.describe(&key, &help);
        }

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            self.register(key);
            Counter::noop()
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            self.register(key);
            Gauge::noop()
        }

        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            self.register(key);
            Histogram::noop()
        }
    }

    fn a_call_ends(metering: Metering) -> Vec<String> {
        let (names, id) = (Names::default(), GatewayId::new("lab").unwrap());
        metrics::with_local_recorder(&names, || {
            let meter = CallMeter::new(&id, metering);
            if let Some(method) = meter.of(&MethodName::new("health").unwrap()) {
                method.ended(super::super::OK, Duration::from_millis(1));
            }
        });
        names.series()
    }

    #[test]
    fn calls_are_counted_by_gateway_where_that_is_asked_for() {
        assert_eq!(a_call_ends(Metering::Off), Vec::<String>::new());
        assert_eq!(
            a_call_ends(Metering::On),
            [
                "windlass_call_seconds method=health",
                "windlass_calls_total method=health,outcome=ok"
            ]
        );
        assert_eq!(
            a_call_ends(Metering::CallsByGateway),
            [
                "windlass_call_seconds method=health,gateway=lab",
                "windlass_calls_total method=health,gateway=lab,outcome=ok"
            ]
        );
    }

    #[test]
    fn each_metric_has_a_help() {
        let (names, id) = (Names::default(), GatewayId::new("lab").unwrap());
        metrics::with_local_recorder(&names, || {
            describe();
            LineMeter::new(&id, Metering::On).ended("stopped");
            let meter = CallMeter::new(&id, Metering::On);
            meter
                .of(&MethodName::new("health").unwrap())
                .unwrap()
                .ended(super::super::OK, Duration::ZERO);
            restarted("line");
            blocked("line");
        });
        let helps = names.helps.lock().unwrap();
        for series in names.series() {
            let (name, _) = series.split_once(' ').unwrap();
            assert!(helps.contains_key(name), "{name} has no help");
        }
        assert_eq!(helps.len(), 11);
    }
}
