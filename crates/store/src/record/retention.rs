//! How much of the journal is kept.

use std::time::Duration;

use super::cursor::Cursor;
use crate::time::Timestamp;

/// How much of the journal is kept. With neither bound, everything is. Consumers that are behind keep nothing from being pruned:
/// they are told of the hole.
///
/// Age is counted by the clock of today: see [`Journal::note_clock_step`](crate::Journal::note_clock_step). When the journal is
/// too large, the gateway that takes the most of it loses its oldest entries first, so that each keeps its share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Entries that are older than this go.
    pub max_age: Option<Duration>,
    /// Entries go until the rest counts at most so many bytes ([`Extent::bytes`](crate::Extent::bytes)).
    pub max_bytes: Option<u64>,
}

/// What one step of pruning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many entries went.
    pub entries: u64,
    /// How many bytes they counted.
    pub bytes: u64,
    /// Whether the step ended at its limit: there may be more to prune.
    pub more: bool,
}

impl Pruned {
    /// Both together.
    pub fn add(&mut self, other: Self) {
        self.entries += other.entries;
        self.bytes += other.bytes;
        self.more |= other.more;
    }
}

/// What decides over pruning, of the oldest entries.
#[derive(Clone, Copy, Debug)]
pub struct Aged {
    pub cursor: Cursor,
    pub size: u64,
    pub at: Timestamp,
}

impl Retention {
    /// Up to where to prune, given the oldest entries in order, at most `limit` of them looked at. `None` when all may stay.
    ///
    /// An entry from the future (a clock was wrong) has no age: it goes with the next one that is too old, so that it does not keep
    /// everything behind it for ever.
    pub fn cut(
        &self,
        oldest: impl Iterator<Item = Aged>,
        bytes: u64,
        now: Timestamp,
        limit: usize,
    ) -> (Option<Cursor>, Pruned) {
        let too_old = self.max_age.map(|age| now.saturating_sub(age));
        let (mut cut, mut pruned, mut seen) = (None, Pruned::default(), Pruned::default());
        for entry in oldest.take(limit) {
            let is_too_much = self.max_bytes.is_some_and(|max| bytes - seen.bytes > max);
            let is_old = too_old.is_some_and(|limit| entry.at < limit);
            if !is_too_much && !is_old && entry.at <= now {
                return (cut, pruned);
            }
            seen.entries += 1;
            seen.bytes = (seen.bytes + entry.size).min(bytes);
            if is_too_much || is_old {
                (cut, pruned) = (Some(entry.cursor), seen);
            }
        }
        pruned.more = pruned.entries == limit as u64;
        (cut, pruned)
    }
}
