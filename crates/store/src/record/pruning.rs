//! Pruning of the journal: by age, and by the share of each gateway.
//!
//! A journal that is too large loses the oldest entries of the gateways that take more than an equal share of it, so that one
//! gateway does not push out the entries of the others. Where older entries of other gateways stay, a marker takes the place of the
//! last deleted entry, and a reader learns of the hole.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_protocol::RawJson;

use super::journal::{EntryLabel, NewEntry};
use crate::values::{Cursor, GatewayUid, Timestamp};

/// The bounds of the journal. Without any, everything is kept. Consumers that are behind don't prevent pruning: they are told of
/// the hole.
///
/// Age is counted by the clock of today: see [`Journal::note_clock_step`](crate::Journal::note_clock_step). When the journal is
/// too large, the gateway that takes the most of it loses its oldest entries first, so that each keeps its share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Older entries are deleted.
    pub max_age: Option<Duration>,
    /// Entries are deleted until the rest has at most this size in bytes ([`Extent::bytes`](crate::Extent::bytes)).
    pub max_bytes: Option<u64>,
}

/// The result of one step of pruning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The number of deleted entries.
    pub entries: u64,
    /// Their size, in bytes.
    pub bytes: u64,
    /// Whether the step ended at its limit: there may be more to prune.
    pub more: bool,
}

impl Pruned {
    /// Adds another result to this one.
    pub fn add(&mut self, other: Self) {
        self.entries += other.entries;
        self.bytes += other.bytes;
        self.more |= other.more;
    }
}

/// The properties of an entry that decide over pruning by age.
#[derive(Clone, Copy, Debug)]
pub struct Aged {
    /// Its cursor.
    pub cursor: Cursor,
    /// Its size, in bytes.
    pub size: u64,
    /// Its time, corrected by the steps of the clock.
    pub at: Timestamp,
}

impl Retention {
    /// The last entry to prune, given the oldest entries in order; it looks at `limit` of them at most. `None` when all may stay.
    ///
    /// An entry from the future (a clock was wrong) has no age: it is deleted with the next one that is too old, so that it does not
    /// keep all later entries for ever.
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

/// Most steps of the clock that a journal keeps. A clock that steps more often within the retention is broken. Then the oldest step
/// is deleted, and entries before it have the age of their stamps.
pub const CLOCK_STEPS_KEPT: usize = 64;

/// A step of the clock: entries up to a cursor carry stamps of the clock before the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ClockStep {
    /// The last entry that was stamped before the step.
    pub upto: Cursor,
    /// Milliseconds that the clock moved; negative when it was set back.
    pub by_ms: i64,
}

/// The stamp of an entry corrected to the present clock, by all [`clock_steps`](crate::Journal::clock_steps).
pub fn corrected(at: Timestamp, cursor: Cursor, steps: &[ClockStep]) -> Timestamp {
    let later = steps.iter().filter(|step| cursor <= step.upto);
    let millis = later.fold(at.as_millis(), |millis, step| millis.saturating_add(step.by_ms));
    Timestamp::from_millis(millis)
}

/// The name of the marker that takes the place of pruned entries of one gateway. Its body is `{"first": CURSOR, "entries": N}`:
/// the first place of the hole (the last one is the marker's own), and how many entries of the gateway were there.
pub const PRUNED_MARKER: &str = "pruned";

/// The share of one gateway in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The number of its entries.
    pub entries: u64,
    /// Their size, in bytes.
    pub bytes: u64,
    /// No entry of this gateway has a cursor up to this one.
    pub before: Cursor,
}

impl Share {
    /// The share of a gateway before its first entry.
    pub const fn new(before: Cursor) -> Self {
        Self {
            entries: 0,
            bytes: 0,
            before,
        }
    }

    /// Adds an entry.
    pub fn append(&mut self, entry: &NewEntry) {
        self.entries += 1;
        self.bytes += entry.size();
    }

    /// Takes away a number of entries of a size in bytes.
    pub fn prune(&mut self, entries: u64, bytes: u64) {
        self.entries = self.entries.saturating_sub(entries);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// The properties of an entry that decide over pruning by size.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its cursor.
    pub cursor: Cursor,
    /// Its gateway.
    pub gateway: GatewayUid,
    /// Its size, in bytes.
    pub size: u64,
    /// Its time.
    pub at: Timestamp,
    /// The generation of the line.
    pub generation: u64,
    /// The hole that the entry stands for, if it is a [`PRUNED_MARKER`].
    pub stands_for: Option<Hole>,
}

/// A hole: deleted entries of one gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Hole {
    /// The first place.
    pub first: Cursor,
    /// The number of entries of the gateway in it.
    pub entries: u64,
}

/// The oldest entries of one gateway, which are deleted.
#[derive(Debug)]
pub struct PruneRun {
    /// Their cursors.
    pub cursors: Vec<Cursor>,
    /// Their size, in bytes.
    pub bytes: u64,
    hole: Hole,
    at: Timestamp,
    generation: u64,
}

impl PruneRun {
    fn beginning_with(candidate: &Candidate) -> Self {
        Self {
            cursors: Vec::new(),
            bytes: 0,
            hole: Hole {
                first: candidate.stands_for.map_or(candidate.cursor, |hole| hole.first),
                entries: 0,
            },
            at: candidate.at,
            generation: candidate.generation,
        }
    }

    fn take(&mut self, candidate: &Candidate) {
        self.cursors.push(candidate.cursor);
        self.bytes += candidate.size;
        self.hole.entries += candidate.stands_for.map_or(1, |hole| hole.entries);
        (self.at, self.generation) = (candidate.at, candidate.generation);
    }

    /// The last entry that is deleted.
    pub fn last(&self) -> Cursor {
        self.cursors.last().copied().unwrap_or(self.hole.first)
    }

    /// The effect of the run once its entries are deleted. `oldest` is the oldest entry of all that is left.
    fn settle(&self, gateway: GatewayUid, oldest: Option<Cursor>) -> SettledRun {
        let last = self.last();
        let mut settled = SettledRun {
            gateway,
            marker: None,
            gone: Pruned {
                entries: self.cursors.len() as u64,
                bytes: self.bytes,
                more: false,
            },
            before: last,
        };
        if oldest.is_some_and(|oldest| oldest < last) {
            let marker = self.marker(gateway);
            settled.gone.entries -= 1;
            settled.gone.bytes = settled.gone.bytes.saturating_sub(marker.size());
            settled.before = last.before();
            settled.marker = Some((last, marker));
        }
        settled
    }

    /// The marker that takes the place of the last entry.
    fn marker(&self, gateway: GatewayUid) -> NewEntry {
        NewEntry {
            gateway,
            generation: self.generation,
            kind: EntryLabel::marker(PRUNED_MARKER),
            seq: None,
            session_key: None,
            // Two numbers always have a JSON text.
            body: RawJson::from_value(&self.hole).unwrap_or(RawJson::null()),
            at: self.at,
        }
    }
}

/// One gateway after its run of a [`PrunePlan`] was deleted.
#[derive(Clone, Debug)]
pub struct SettledRun {
    /// The gateway.
    pub gateway: GatewayUid,
    /// The marker to insert, with its cursor, where older entries of other gateways stay.
    pub marker: Option<(Cursor, NewEntry)>,
    /// The entries that are gone, the marker deducted.
    pub gone: Pruned,
    before: Cursor,
}

impl SettledRun {
    /// Takes the entries that are gone from the gateway's share.
    pub fn apply_to(&self, share: &mut Share) {
        share.prune(self.gone.entries, self.gone.bytes);
        share.before = self.before;
    }
}

/// One step of pruning by size.
#[derive(Debug, Default)]
pub struct PrunePlan {
    /// The entries to delete, by gateway.
    pub runs: BTreeMap<GatewayUid, PruneRun>,
    /// The last entry that was looked at.
    pub scanned: Option<Cursor>,
    /// The number of entries to delete.
    pub entries: usize,
}

/// The cursor after which to look for entries to delete, if a journal of these shares is to have `max_bytes` at most. `None` if no
/// gateway takes more than an equal share.
pub fn prune_from(shares: &BTreeMap<GatewayUid, Share>, max_bytes: u64) -> Option<Cursor> {
    let equal = equal_share(shares, max_bytes);
    let over = shares.values().filter(|share| share.bytes > equal);
    over.map(|share| share.before).min()
}

fn equal_share(shares: &BTreeMap<GatewayUid, Share>, max_bytes: u64) -> u64 {
    let gateways = shares.values().filter(|share| share.entries > 0).count() as u64;
    max_bytes / gateways.max(1)
}

impl PrunePlan {
    /// The size of the deleted entries, in bytes.
    pub fn bytes(&self) -> u64 {
        self.runs.values().map(|run| run.bytes).sum()
    }

    /// The cursors of all entries to delete.
    pub fn cursors(&self) -> impl Iterator<Item = Cursor> {
        self.runs.values().flat_map(|run| run.cursors.iter().copied())
    }

    /// The effect on each gateway once the entries of [`PrunePlan::cursors`] are deleted. `oldest` is the oldest entry of all that
    /// is left, before any marker is inserted.
    pub fn settle(&self, oldest: Option<Cursor>) -> impl Iterator<Item = SettledRun> {
        self.runs.iter().map(move |(gateway, run)| run.settle(*gateway, oldest))
    }

    /// Selects entries in their order, of gateways that take more than an equal share, until they have `excess` bytes or are `limit`.
    pub fn make(
        shares: &BTreeMap<GatewayUid, Share>,
        candidates: impl Iterator<Item = Candidate>,
        max_bytes: u64,
        excess: u64,
        limit: usize,
    ) -> Self {
        let equal = equal_share(shares, max_bytes);
        let mut left: BTreeMap<GatewayUid, u64> = shares.iter().map(|(id, share)| (*id, share.bytes)).collect();
        let (mut plan, mut freed) = (Self::default(), 0_u64);
        for candidate in candidates {
            if freed >= excess || plan.entries >= limit {
                break;
            }
            plan.scanned = Some(candidate.cursor);
            // An entry of a gateway that has no share is damaged.
            let bytes = left.entry(candidate.gateway).or_insert(u64::MAX);
            if *bytes <= equal {
                continue;
            }
            *bytes = bytes.saturating_sub(candidate.size);
            freed += candidate.size;
            plan.entries += 1;
            plan.runs
                .entry(candidate.gateway)
                .or_insert_with(|| PruneRun::beginning_with(&candidate))
                .take(&candidate);
        }
        plan
    }
}

#[cfg(test)]
mod tests;
