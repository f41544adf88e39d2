//! A subscriber and a recorder that take every span and every metric: the cost of observation is part of the table.

mod collector;
mod layer;
mod metrics;

use tracing::field::{Field, Visit};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::collector::Collector;
use self::layer::Taken;
use self::metrics::Kept;

/// The target of the spans of calls.
const CALLS: &str = "windlass::call";

/// Installs a subscriber that takes every span's fields and does nothing else, and a recorder that keeps every metric.
pub(crate) fn by_itself() {
    let _ = tracing::subscriber::set_global_default(Collector::default());
    let _ = ::metrics::set_global_recorder(Kept::default());
}

/// The same with tracing-subscriber's registry and a layer, as most services have it.
pub(crate) fn by_registry() {
    let targets = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target(CALLS, LevelFilter::DEBUG);
    let _ = tracing_subscriber::registry().with(targets).with(Taken).try_init();
    let _ = ::metrics::set_global_recorder(Kept::default());
}

/// The fields of one span: the texts in one place, the others by themselves.
#[derive(Default)]
struct Fields {
    values: Vec<(&'static str, Value)>,
    texts: String,
}

enum Value {
    /// So many bytes of the texts.
    Text(usize),
    Whole(u64),
    Part(f64),
}

impl Fields {
    /// Hands them on, as an exporter does, and leaves their room to the next.
    fn export(&mut self) {
        let mut from = 0;
        for (name, value) in self.values.drain(..) {
            match value {
                Value::Text(length) => {
                    std::hint::black_box((name, &self.texts[from..from + length]));
                    from += length;
                }
                Value::Whole(number) => drop(std::hint::black_box((name, number))),
                Value::Part(number) => drop(std::hint::black_box((name, number))),
            }
        }
        self.texts.clear();
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.texts.push_str(value);
        self.values.push((field.name(), Value::Text(value.len())));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.values.push((field.name(), Value::Whole(value)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.values.push((field.name(), Value::Part(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
