//! The share of a journal that each gateway takes, so that one gateway does not push the entries of all others out.
//!
//! A journal that is too large loses the oldest entries of the gateways that take more than an equal share of it. Where
//! older entries of other gateways stay, a marker takes the place of the last entry that went: a reader is told of the hole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use windlass_protocol::RawJson;

use super::cursor::Cursor;
use super::journal::{EntryKind, NewEntry};
use super::retention::Pruned;
use crate::id::GatewayUid;
use crate::time::Timestamp;

/// The name of the marker that takes the place of pruned entries of one gateway. Its body is `{"first": CURSOR, "entries": N}`:
/// the first place of the hole (the last one is the marker's own), and how many entries of the gateway were there.
pub const PRUNED_MARKER: &str = "pruned";

/// What one gateway takes of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub entries: u64,
    pub bytes: u64,
    /// No entry of this gateway has a cursor up to this one.
    pub before: Cursor,
}

impl Share {
    /// That of a gateway whose first entry follows.
    pub const fn new(before: Cursor) -> Self {
        Self {
            entries: 0,
            bytes: 0,
            before,
        }
    }

    pub fn append(&mut self, entry: &NewEntry) {
        self.entries += 1;
        self.bytes += entry.size();
    }

    pub fn prune(&mut self, entries: u64, bytes: u64) {
        self.entries = self.entries.saturating_sub(entries);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// What pruning looks at in an entry.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub cursor: Cursor,
    pub gateway: GatewayUid,
    pub size: u64,
    pub at: Timestamp,
    pub generation: u64,
    /// The hole that the entry stands for, where it is a [`PRUNED_MARKER`].
    pub stands_for: Option<Hole>,
}

/// Entries of one gateway that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Hole {
    /// The first place.
    pub first: Cursor,
    /// How many entries of the gateway were there.
    pub entries: u64,
}

/// The oldest entries of one gateway, which go.
#[derive(Debug)]
pub struct PruneRun {
    pub cursors: Vec<Cursor>,
    /// What they count.
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

    /// The last entry that goes.
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
            kind: EntryKind::marker(PRUNED_MARKER),
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

/// What a step of pruning by size does.
#[derive(Debug, Default)]
pub struct PrunePlan {
    pub runs: BTreeMap<GatewayUid, PruneRun>,
    /// The last entry that was looked at.
    pub scanned: Option<Cursor>,
    /// How many entries go.
    pub entries: usize,
}

/// The gateways that lose entries when a journal of these shares is to count `max_bytes` at most: where to begin to look for
/// them. None where no gateway takes more than an equal share.
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
    /// What goes, in bytes.
    pub fn bytes(&self) -> u64 {
        self.runs.values().map(|run| run.bytes).sum()
    }

    /// The cursors of all entries that go.
    pub fn cursors(&self) -> impl Iterator<Item = Cursor> {
        self.runs.values().flat_map(|run| run.cursors.iter().copied())
    }

    /// The effect on each gateway once the entries of [`PrunePlan::cursors`] are deleted. `oldest` is the oldest entry of all that
    /// is left, before any marker is inserted.
    pub fn settle(&self, oldest: Option<Cursor>) -> impl Iterator<Item = SettledRun> {
        self.runs.iter().map(move |(gateway, run)| run.settle(*gateway, oldest))
    }

    /// Takes entries in their order, of gateways that take more than an equal share, until `excess` bytes go or `limit` entries do.
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
mod tests {
    use super::*;

    fn gateway(number: u8) -> GatewayUid {
        GatewayUid::from_bytes([number; 16])
    }

    fn candidate(cursor: i64, of: u8, stands_for: Option<Hole>) -> Candidate {
        Candidate {
            cursor: Cursor::new(cursor),
            gateway: gateway(of),
            size: 1_000,
            at: Timestamp::from_millis(cursor),
            generation: 3,
            stands_for,
        }
    }

    fn shares(of: &[(u8, u64, i64)]) -> BTreeMap<GatewayUid, Share> {
        let share = |&(id, entries, before): &(u8, u64, i64)| {
            let share = Share {
                entries,
                bytes: entries * 1_000,
                before: Cursor::new(before),
            };
            (gateway(id), share)
        };
        of.iter().map(share).collect()
    }

    fn went(plan: &PrunePlan, of: u8) -> Vec<i64> {
        let run = plan.runs.get(&gateway(of));
        run.map(|run| run.cursors.iter().map(|cursor| cursor.number()).collect())
            .unwrap_or_default()
    }

    #[test]
    fn the_gateway_that_takes_too_much_loses_its_oldest_and_the_others_keep_theirs() {
        let shares = shares(&[(1, 2, 0), (2, 6, 2)]);
        let order = [1, 1, 2, 2, 2, 2, 2, 2];
        let candidates = || (1..).zip(order).map(|(cursor, of)| candidate(cursor, of, None));
        assert_eq!(prune_from(&shares, 6_000), Some(Cursor::new(2)));
        let plan = PrunePlan::make(&shares, candidates(), 6_000, 2_000, 100);
        assert_eq!((went(&plan, 1), went(&plan, 2)), (vec![], vec![3, 4]));
        assert_eq!(plan.scanned, Some(Cursor::new(4)));
        let plan = PrunePlan::make(&shares, candidates(), 6_000, 2_000, 1);
        assert_eq!((went(&plan, 2), plan.entries), (vec![3], 1));
    }

    #[test]
    fn gateways_that_take_the_same_lose_what_is_oldest() {
        let shares = shares(&[(1, 4, 0), (2, 5, 0)]);
        let candidates = (1..=9).map(|cursor| candidate(cursor, 1 + u8::from(cursor % 2 == 1), None));
        let plan = PrunePlan::make(&shares, candidates, 4_500, 4_500, 100);
        assert_eq!((went(&plan, 2), went(&plan, 1)), (vec![1, 3, 5], vec![2, 4]));
        assert_eq!(prune_from(&shares, 100_000), None);
    }

    #[test]
    fn a_marker_stands_for_the_marker_before_it_too() {
        let before = Hole {
            first: Cursor::new(1),
            entries: 40,
        };
        let shares = shares(&[(1, 2, 0)]);
        let candidates = [candidate(3, 1, Some(before)), candidate(9, 1, None)];
        let plan = PrunePlan::make(&shares, candidates.into_iter(), 0, 2_000, 9);
        let run = &plan.runs[&gateway(1)];
        let marker = run.marker(gateway(1));
        let hole: Hole = marker.body.decode().unwrap();
        assert_eq!(
            (hole.first, hole.entries, run.last()),
            (Cursor::new(1), 41, Cursor::new(9))
        );
        assert_eq!((marker.kind, marker.generation), (EntryKind::marker("pruned"), 3));
    }
}
