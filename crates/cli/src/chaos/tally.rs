//! What the faults were, and how clients took them, from the proxy's log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use windlass_testkit::chaos::{Fault, LogEntry, LogEvent};

/// One kind of fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kind {
    /// How often it was applied.
    pub(crate) times: u64,
    /// Frames that were not what they were.
    pub(crate) frames: u64,
    /// Connections that a gateway had let in and that ended after it, with no other fault in between.
    pub(crate) broke: u64,
    /// Of them, those after which a client was let in again, and how long that took in all and at most.
    pub(crate) back: u32,
    pub(crate) down: Duration,
    pub(crate) longest: Duration,
}

impl Kind {
    /// How long clients were away on average.
    pub(crate) fn mean(&self) -> Option<Duration> {
        self.down.checked_div(self.back)
    }
}

/// Faults by their names, and what the line did.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) kinds: BTreeMap<&'static str, Kind>,
    /// Connections that the gateway has let in.
    let_in: BTreeSet<u64>,
    /// The fault that came last.
    blamed: Option<&'static str>,
    /// Since when nobody is let in, and which fault is to blame.
    away: Option<(Duration, Option<&'static str>)>,
}

impl Tally {
    /// Entries were missed: who was let in and what is to blame has to be learnt anew.
    pub(crate) fn skip(&mut self) {
        self.let_in.clear();
        self.blamed = None;
        self.away = None;
    }

    pub(crate) fn take(&mut self, entry: &LogEntry) {
        match &entry.what {
            LogEvent::Applied { fault, .. } if !ends_something(fault) => {
                self.kind(fault.name()).times += 1;
                // A rule that waits for its frame has done nothing yet.
                if !matches!(fault, Fault::Arm(_)) {
                    self.blamed = Some(fault.name());
                }
            }
            LogEvent::Tampered { fault, .. } => {
                self.kind(fault.name()).frames += 1;
                self.blamed = Some(fault.name());
            }
            LogEvent::LetIn { conn } => {
                self.let_in.insert(*conn);
                if let Some((since, Some(blamed))) = self.away.take() {
                    let down = entry.at.saturating_sub(since);
                    let kind = self.kind(blamed);
                    kind.back += 1;
                    kind.down += down;
                    kind.longest = kind.longest.max(down);
                }
            }
            LogEvent::Closed { conn } => self.closed(*conn, entry.at),
            _ => {}
        }
    }

    fn closed(&mut self, conn: u64, at: Duration) {
        if !self.let_in.remove(&conn) {
            return;
        }
        if let Some(blamed) = self.blamed {
            self.kind(blamed).broke += 1;
        }
        if self.let_in.is_empty() {
            self.away = Some((at, self.blamed));
        }
    }

    /// Faults so far.
    pub(crate) fn faults(&self) -> u64 {
        self.kinds.values().map(|kind| kind.times).sum()
    }

    /// Whether a client is through to the gateway.
    pub(crate) fn is_through(&self) -> bool {
        !self.let_in.is_empty()
    }

    fn kind(&mut self, name: &'static str) -> &mut Kind {
        self.kinds.entry(name).or_default()
    }
}

/// Whether it takes something back: what is its own opposite.
fn ends_something(fault: &Fault) -> bool {
    matches!(fault, Fault::Resume(_) | Fault::Calm) || fault.undo().as_ref() == Some(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(ms: u64, what: LogEvent) -> LogEntry {
        LogEntry {
            at: Duration::from_millis(ms),
            what,
        }
    }

    fn applied(fault: Fault) -> LogEvent {
        LogEvent::Applied { fault, connections: 1 }
    }

    #[test]
    fn the_fault_before_an_end_is_blamed_and_the_time_until_somebody_is_let_in_counts() {
        let mut tally = Tally::default();
        for entry in [
            entry(0, LogEvent::LetIn { conn: 1 }),
            entry(10, applied(Fault::Slice(std::num::NonZeroUsize::new(1)))),
            entry(20, applied(Fault::Slice(None))),
            entry(100, applied(Fault::Cut)),
            entry(100, LogEvent::Closed { conn: 1 }),
            entry(150, LogEvent::Closed { conn: 2 }),
            entry(400, LogEvent::LetIn { conn: 3 }),
        ] {
            tally.take(&entry);
        }
        let cut = tally.kinds["cut"];
        assert_eq!((cut.times, cut.broke, cut.back), (1, 1, 1));
        assert_eq!(
            (cut.mean(), cut.longest),
            (Some(Duration::from_millis(300)), Duration::from_millis(300))
        );
        assert_eq!((tally.kinds["slice"].times, tally.kinds["slice"].broke), (1, 0));
        assert_eq!(tally.faults(), 2);
        assert!(tally.is_through());
    }

    #[test]
    fn who_was_let_in_before_entries_were_missed_is_not_thought_to_be_through() {
        let mut tally = Tally::default();
        tally.take(&entry(0, LogEvent::LetIn { conn: 1 }));
        tally.take(&entry(10, applied(Fault::Cut)));
        tally.skip();
        assert!(!tally.is_through());
        tally.take(&entry(20, LogEvent::LetIn { conn: 7 }));
        assert!(tally.is_through());
        assert_eq!((tally.kinds["cut"].times, tally.kinds["cut"].back), (1, 0));
    }
}
