//! The frames of recorded connections.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    clock,
    wire::{Close, ClosedBy, Tap, Wire, WireError},
};

/// Deadline of every single step of a recording: the first turn of a cold gateway is the slowest.
pub(super) const STEP: Duration = Duration::from_secs(120);

/// One line of a fixture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    /// Name of the connection, unique in its file.
    pub(super) conn: String,
    /// `in` from the gateway, `out` to the gateway, `close` for the end.
    pub(super) dir: &'static str,
    /// Milliseconds since the connection was opened.
    pub(super) ms: u64,
    /// The frame; for a `close` its code, its reason and the side that began it.
    pub(super) frame: Value,
}

impl Line {
    /// The line as it stands in the file.
    pub(super) fn json(&self) -> Value {
        json!({"conn": self.conn, "dir": self.dir, "ms": self.ms, "frame": self.frame})
    }
}

/// The lines of one topic, in the order in which they passed.
#[derive(Clone, Debug, Default)]
pub(super) struct Tape {
    lines: Arc<Mutex<Vec<Line>>>,
}

impl Tape {
    /// Opens a connection. Its frames go onto the tape under the name `conn`.
    pub(super) async fn open(&self, conn: &str, url: &str) -> Result<Wire, WireError> {
        self.open_with(conn, url, &[]).await
    }

    /// Opens a recorded connection with further request headers.
    pub(super) async fn open_with(&self, conn: &str, url: &str, headers: &[(&str, &str)]) -> Result<Wire, WireError> {
        let head = Head {
            tape: self.clone(),
            conn: conn.to_owned(),
            opened: clock::now(),
        };
        Wire::open_with(url, headers, Some(Box::new(head)), STEP).await
    }

    /// Everything that passed so far.
    pub(super) fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts `line` onto the tape `times` over.
    #[cfg(test)]
    pub(super) fn fill_for_test(&self, line: Line, times: usize) {
        for line in std::iter::repeat_n(line, times) {
            self.put(line);
        }
    }

    fn put(&self, line: Line) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

/// Writes one connection onto a tape.
struct Head {
    tape: Tape,
    conn: String,
    opened: Instant,
}

impl Head {
    fn write(&self, dir: &'static str, frame: Value) {
        let since = clock::now().duration_since(self.opened);
        self.tape.put(Line {
            conn: self.conn.clone(),
            dir,
            ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            frame,
        });
    }
}

impl Tap for Head {
    fn sent(&self, frame: &Value) {
        self.write("out", frame.clone());
    }

    fn received(&self, frame: &Value) {
        self.write("in", frame.clone());
    }

    fn closed(&self, close: &Close, by: ClosedBy) {
        let by = match by {
            ClosedBy::Us => "client",
            ClosedBy::Gateway => "gateway",
        };
        let frame = json!({"code": close.code, "reason": close.reason, "by": by});
        self.write("close", frame);
    }
}
