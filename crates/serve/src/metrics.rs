//! Numbers of this process for Prometheus.
//!
//! The program installs the recorder before it starts the lines. Series of single gateways are left out unless asked for: five series
//! for each of ten thousand gateways are more than a scrape should carry.

use std::sync::OnceLock;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use windlass_operations::Service;

/// The label that names a gateway.
const GATEWAY: &str = "gateway";
/// The bounds of the buckets of calls, in seconds: an answer on a local network to a run of an agent.
const CALL_SECONDS: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 600.0];

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Why there is no recorder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The process has a recorder already.
    #[error("the process has a recorder of metrics already: install one only")]
    Installed,
    /// The settings are not accepted.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Installs the recorder of this process. `by_gateway` keeps the series of single gateways.
///
/// # Errors
/// [`MetricsError`].
pub fn install(by_gateway: bool) -> Result<(), MetricsError> {
    let calls = Matcher::Full("windlass_call_seconds".into());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(calls, &CALL_SECONDS)?
        .build_recorder();
    let handle = recorder.handle();
    let recorder = FleetRecorder { recorder, by_gateway };
    metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Installed)?;
    // Only the recorder that was installed has a handle here.
    let _ = HANDLE.set(handle);
    describe();
    Ok(())
}

fn describe() {
    metrics::describe_gauge!("windlass_lines", "Lines by their state");
    metrics::describe_gauge!("windlass_streams", "Streams of events that are open");
    metrics::describe_gauge!("windlass_messages_under_way", "Messages that have no end yet");
}

/// All numbers as text; `None` without a recorder.
pub(crate) fn render(service: &Service) -> Option<String> {
    let handle = HANDLE.get()?;
    let numbers = service.numbers();
    for (state, lines) in numbers.lines {
        metrics::gauge!("windlass_lines", "state" => state).set(lines);
    }
    metrics::gauge!("windlass_streams").set(numbers.streams);
    metrics::gauge!("windlass_messages_under_way").set(numbers.messages);
    handle.run_upkeep();
    Some(handle.render())
}

/// Counts over all gateways together, unless single gateways are asked for.
struct FleetRecorder {
    recorder: PrometheusRecorder,
    by_gateway: bool,
}

impl FleetRecorder {
    fn is_of_gateway(&self, key: &Key) -> bool {
        !self.by_gateway && key.labels().any(|label| label.key() == GATEWAY)
    }

    fn of_fleet(key: &Key) -> Key {
        let labels: Vec<Label> = key.labels().filter(|label| label.key() != GATEWAY).cloned().collect();
        Key::from_parts(key.name().to_owned(), labels)
    }
}

impl Recorder for FleetRecorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.recorder.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.recorder.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.recorder.describe_histogram(key, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        if self.is_of_gateway(key) {
            return self.recorder.register_counter(&Self::of_fleet(key), metadata);
        }
        self.recorder.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        // The last value of any gateway is no value of the fleet.
        if self.is_of_gateway(key) {
            return Gauge::noop();
        }
        self.recorder.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        if self.is_of_gateway(key) {
            return self.recorder.register_histogram(&Self::of_fleet(key), metadata);
        }
        self.recorder.register_histogram(key, metadata)
    }
}
