//! One window of load: so many requests under way at a time, until a time or a number is reached.

mod callers;

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

pub use callers::{Call, CallFailed, drive_here, drive_spread};

use crate::allocations::Allocations;
use crate::machine::{cpu_time, now};

/// An order to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Requests under way at a time.
    pub depth: usize,
    /// When to stop.
    #[serde(flatten)]
    pub until: Until,
}

/// When a window ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Until {
    /// After so many milliseconds.
    Millis(u64),
    /// After so many requests.
    Requests(u64),
}

/// The results of a client in one window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Requests that were answered.
    pub requests: u64,
    /// Seconds that it took.
    pub seconds: f64,
    /// Seconds of CPU that the client's process used.
    pub cpu_seconds: f64,
    /// Half of the requests were answered within so many microseconds.
    pub p50_us: f64,
    /// 99 of 100 requests were.
    pub p99_us: f64,
    /// Allocations of the client's process, where they are counted.
    #[serde(default)]
    pub allocations: Option<u64>,
}

/// Says when a window is over.
#[derive(Debug)]
pub struct Quota {
    end: Option<Instant>,
    left: Cell<u64>,
}

impl Quota {
    /// The quota of a window that begins at `start`.
    pub fn new(until: Until, start: Instant) -> Self {
        let (end, left) = match until {
            Until::Millis(millis) => (Some(start + Duration::from_millis(millis)), u64::MAX),
            Until::Requests(requests) => (None, requests),
        };
        Self {
            end,
            left: Cell::new(left),
        }
    }

    /// Whether another request is to be made at `at`; it counts.
    pub fn goes_on(&self, at: Instant) -> bool {
        let left = self.left.get();
        if left == 0 || self.end.is_some_and(|end| at >= end) {
            return false;
        }
        self.left.set(left - 1);
        true
    }
}

/// Counts a window's requests and how long they took. Used by one thread.
#[derive(Debug)]
pub struct Meter {
    pub(crate) quota: Quota,
    taken: RefCell<Histogram<u64>>,
}

impl Meter {
    /// Longest time that a request can take and still be told apart: a minute.
    const LONGEST_NS: u64 = 60_000_000_000;

    /// A meter of a window that begins at `start`.
    ///
    /// # Panics
    /// Never: the bounds of the histogram are constants in order.
    pub fn new(until: Until, start: Instant) -> Self {
        let taken = Histogram::new_with_bounds(1_000, Self::LONGEST_NS, 3).expect("the bounds are in order");
        Self {
            quota: Quota::new(until, start),
            taken: RefCell::new(taken),
        }
    }

    /// Notes that a request was answered.
    pub fn note(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(Self::LONGEST_NS);
        self.taken.borrow_mut().saturating_record(nanos);
    }
}

/// The values at the start of a window.
#[derive(Debug)]
pub struct Start {
    at: Instant,
    cpu: Duration,
    allocations: Option<u64>,
}

impl Start {
    /// A window begins.
    pub fn now(allocations: Allocations) -> Self {
        Self {
            allocations: allocations.count(),
            cpu: cpu_time(),
            at: now(),
        }
    }

    /// When it began.
    pub const fn at(&self) -> Instant {
        self.at
    }

    /// The window is over.
    #[expect(
        clippy::cast_precision_loss,
        reason = "nanoseconds of a minute are far from the end of f64"
    )]
    pub fn end(&self, meter: &Meter, allocations: Allocations) -> Window {
        let (took, cpu) = (now().duration_since(self.at), cpu_time().saturating_sub(self.cpu));
        let allocated = allocations
            .count()
            .zip(self.allocations)
            .map(|(after, before)| after - before);
        let taken = meter.taken.borrow();
        Window {
            requests: taken.len(),
            seconds: took.as_secs_f64(),
            cpu_seconds: cpu.as_secs_f64(),
            p50_us: taken.value_at_quantile(0.5) as f64 / 1e3,
            p99_us: taken.value_at_quantile(0.99) as f64 / 1e3,
            allocations: allocated,
        }
    }
}
