//! The steps of a run, line by line: notes of its parts, and the log of the runtime.
//!
//! A run has a separate thread, so the trace belongs to the thread.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::clock::WorldClock;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Virtual time since the run began.
    pub at: Duration,
    /// The source: `log`, `sim`, `proxy` or `play`.
    pub by: &'static str,
    /// The text.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:11.3} s  {:<5}  {}", self.at.as_secs_f64(), self.by, self.text)
    }
}

/// The lines of a run in the order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(pub Vec<Line>);

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

struct Open {
    clock: WorldClock,
    lines: Vec<Line>,
}

thread_local! {
    static OPEN: RefCell<Option<Open>> = const { RefCell::new(None) };
    static LISTENING: Cell<bool> = const { Cell::new(false) };
}

/// Begins a trace on this thread.
pub(crate) fn begin(clock: WorldClock) {
    hear_logs();
    let lines = Vec::new();
    OPEN.with_borrow_mut(|open| *open = Some(Open { clock, lines }));
    LISTENING.set(true);
}

/// Ends the trace of this thread, if there is one.
pub(crate) fn end() -> Vec<Line> {
    LISTENING.set(false);
    OPEN.take().map(|open| open.lines).unwrap_or_default()
}

/// Writes a line where a trace is kept; elsewhere the text is not even made.
pub(crate) fn note(text: impl FnOnce() -> String) {
    if LISTENING.get() {
        push("play", text());
    }
}

fn push(by: &'static str, text: String) {
    OPEN.with_borrow_mut(|open| {
        if let Some(open) = open {
            let at = open.clock.elapsed();
            open.lines.push(Line { at, by, text });
        }
    });
}

/// Takes all log records of all threads from now on. Records of threads without a trace are dropped.
fn hear_logs() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let layer = tracing_subscriber::fmt::layer()
            .without_time()
            .with_ansi(false)
            .with_writer(|| LogLine)
            .with_filter(dynamic_filter_fn(|_, _| LISTENING.get()));
        // A program that listens itself hears them instead.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer));
    });
}

struct LogLine;

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        push("log", String::from_utf8_lossy(bytes).trim().to_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
