//! The actions and observations of the proxy.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::{Direction, Fault, FrameFault};

/// Entries that are kept unless the builder says otherwise; beyond it the oldest go. Ten hours of a fault each half
/// second; 8 MB.
pub const LOG_LIMIT: usize = 100_000;

/// One thing that the proxy did or saw.
///
/// In virtual time two runs with the same seed and the same client give equal logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Tokio time since the proxy was made.
    pub at: Duration,
    /// The action or observation.
    pub what: LogEvent,
}

/// An action or observation of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogEvent {
    /// A fault began, ended, or was armed.
    Applied {
        /// Which.
        fault: Fault,
        /// Connections that were open then.
        connections: usize,
    },
    /// A client came in. Connections are counted from 1.
    Opened {
        /// Its number.
        conn: u64,
    },
    /// A client met a door that was not open.
    TurnedAway {
        /// Its number.
        conn: u64,
    },
    /// The gateway could not be reached for a client.
    GatewayAway {
        /// Its number.
        conn: u64,
        /// The kind of the error.
        kind: std::io::ErrorKind,
    },
    /// A `hello-ok` passed: the client is let in.
    LetIn {
        /// Its number.
        conn: u64,
    },
    /// Something was done to a frame.
    Tampered {
        /// The connection's number.
        conn: u64,
        /// Which way the frame went.
        direction: Direction,
        /// Its number on this connection in this direction, counted from 1.
        frame: u64,
        /// The fault.
        fault: FrameFault,
    },
    /// The clock in a challenge was moved.
    Skewed {
        /// The connection's number.
        conn: u64,
        /// By so many milliseconds.
        by_ms: i64,
    },
    /// A connection is gone, by whomever.
    Closed {
        /// Its number.
        conn: u64,
    },
}

/// The entries since a reader's last look; returned by [`ChaosProxy::log_since`](super::ChaosProxy::log_since).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// The entries, oldest first.
    pub entries: Vec<LogEntry>,
    /// Entries before them that the reader has not seen and that are not kept any more.
    pub missed: u64,
    /// Where the next page begins.
    pub next: u64,
}

impl fmt::Display for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:10.3} s  {}", self.at.as_secs_f64(), self.what)
    }
}

impl fmt::Display for LogEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied { fault, connections } => write!(f, "{fault} ({connections} open)"),
            Self::Opened { conn } => write!(f, "connection {conn} came in"),
            Self::TurnedAway { conn } => write!(f, "connection {conn} was turned away"),
            Self::GatewayAway { conn, kind } => write!(f, "no gateway for connection {conn}: {kind}"),
            Self::LetIn { conn } => write!(f, "connection {conn} was let in by the gateway"),
            Self::Tampered {
                conn,
                direction,
                frame,
                fault,
            } => write!(f, "{} frame {frame} {direction} of connection {conn}", fault.name()),
            Self::Skewed { conn, by_ms } => {
                write!(f, "the clock that connection {conn} is told was moved by {by_ms} ms")
            }
            Self::Closed { conn } => write!(f, "connection {conn} ended"),
        }
    }
}

/// The log as it is kept.
#[derive(Debug)]
pub(super) struct Log {
    entries: VecDeque<LogEntry>,
    /// How many are kept.
    limit: usize,
    /// Entries that are not kept any more.
    dropped: u64,
}

impl Log {
    /// A log that keeps `limit` entries, and one at least.
    pub(super) fn keeping(limit: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            limit: limit.max(1),
            dropped: 0,
        }
    }

    pub(super) fn push(&mut self, at: Duration, what: LogEvent) {
        if self.entries.len() == self.limit {
            self.entries.pop_front();
            self.dropped += 1;
        }
        self.entries.push_back(LogEntry { at, what });
    }

    pub(super) fn all(&self) -> Vec<LogEntry> {
        self.entries.iter().cloned().collect()
    }

    /// Entries so far, kept or not.
    pub(super) fn len(&self) -> u64 {
        self.dropped + self.entries.len() as u64
    }

    /// Those after the first `seen`.
    pub(super) fn since(&self, seen: u64) -> LogPage {
        let skip = usize::try_from(seen.saturating_sub(self.dropped)).unwrap_or(usize::MAX);
        LogPage {
            entries: self.entries.iter().skip(skip).cloned().collect(),
            missed: self.dropped.saturating_sub(seen),
            next: self.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(log: &mut Log, conns: std::ops::RangeInclusive<u64>) {
        for conn in conns {
            log.push(Duration::from_secs(conn), LogEvent::Opened { conn });
        }
    }

    fn conns(page: &LogPage) -> Vec<u64> {
        page.entries.iter().map(|entry| entry.at.as_secs()).collect()
    }

    #[test]
    fn a_reader_that_follows_gets_each_entry_once() {
        let mut log = Log::keeping(3);
        opened(&mut log, 1..=2);
        let first = log.since(0);
        opened(&mut log, 3..=5);
        let second = log.since(first.next);
        assert_eq!((conns(&first), first.missed), (vec![1, 2], 0));
        assert_eq!((conns(&second), second.missed), (vec![3, 4, 5], 0));
        assert!(log.since(second.next).entries.is_empty());
    }

    #[test]
    fn a_reader_that_is_late_is_told_how_many_it_missed() {
        let mut log = Log::keeping(3);
        opened(&mut log, 1..=2);
        let first = log.since(0);
        opened(&mut log, 3..=9);
        let second = log.since(first.next);
        assert_eq!((conns(&second), second.missed, second.next), (vec![7, 8, 9], 4, 9));
    }

    #[test]
    fn a_log_keeps_one_entry_at_least() {
        let mut log = Log::keeping(0);
        opened(&mut log, 1..=2);
        assert_eq!(conns(&log.since(0)), [2]);
    }
}
