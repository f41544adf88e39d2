//! Metrics in memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Metrics in memory, as an exporter keeps them between two scrapes.
#[derive(Default)]
pub(super) struct Kept {
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
