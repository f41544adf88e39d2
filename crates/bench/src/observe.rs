//! Everything that can be observed, taken by something: what observation costs is part of the table.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Installs a tracing subscriber that takes every span's fields, and a recorder that keeps every metric.
pub(crate) fn everything() {
    let targets = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("windlass::call", LevelFilter::DEBUG);
    let _ = tracing_subscriber::registry()
        .with(Taken.with_filter(targets))
        .try_init();
    let _ = metrics::set_global_recorder(Kept::default());
}

/// Takes every field of every span, as an exporter does before it sends them.
struct Taken;

/// The fields of one span.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

enum Value {
    Text(String),
    Whole(u64),
    Part(f64),
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), Value::Text(value.to_owned())));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push((field.name(), Value::Whole(value)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.push((field.name(), Value::Part(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push((field.name(), Value::Text(format!("{value:?}"))));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Taken {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let fields = context
            .span(&id)
            .and_then(|span| span.extensions_mut().remove::<Fields>());
        for (name, value) in fields.unwrap_or_default().0 {
            match value {
                Value::Text(text) => drop(std::hint::black_box((name, text))),
                Value::Whole(number) => drop(std::hint::black_box((name, number))),
                Value::Part(number) => drop(std::hint::black_box((name, number))),
            }
        }
    }
}

/// Metrics in memory, as an exporter keeps them between two scrapes.
#[derive(Default)]
struct Kept {
    numbers: Mutex<HashMap<Key, Arc<AtomicU64>>>,
    histograms: Mutex<HashMap<Key, Arc<Buckets>>>,
}

/// A histogram by powers of two.
struct Buckets([AtomicU64; 64]);

impl Default for Buckets {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; 64])
    }
}

impl HistogramFn for Buckets {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "nanoseconds, saturating"
    )]
    fn record(&self, seconds: f64) {
        let nanos = (seconds * 1e9) as u64;
        let bucket = nanos.checked_ilog2().unwrap_or_default();
        self.0[bucket as usize].fetch_add(1, Ordering::Relaxed);
    }
}

fn kept<T: Default, K: Hash + Eq + Clone>(all: &Mutex<HashMap<K, Arc<T>>>, key: &K) -> Arc<T> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(all.entry(key.clone()).or_default())
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(kept(&self.numbers, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(kept(&self.numbers, key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(kept(&self.histograms, key))
    }
}
