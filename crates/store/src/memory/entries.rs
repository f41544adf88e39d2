//! The entries of a journal in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::backend::{self, Aged, CLOCK_STEPS_KEPT, Candidate, Hole, PrunePlan, Reach, Share, fitting, prune_from};
use crate::error::StoreError;
use crate::limits;
use crate::record::{
    Acknowledged, Appended, ClockStep, Consumer, Entry, EntryLabel, JournalFilter, NewEntry, PRUNED_MARKER, Page,
    Pruned, ReaderId, Retention, corrected,
};
use crate::values::{Cursor, GatewayUid, Timestamp};

#[derive(Default)]
pub(crate) struct Entries {
    by_cursor: BTreeMap<Cursor, NewEntry>,
    // None until the first append.
    pub(crate) reach: Option<Reach>,
    pub(crate) consumers: BTreeMap<String, Consumer>,
    shares: BTreeMap<GatewayUid, Share>,
    pub(crate) clock_steps: Vec<ClockStep>,
}

impl Entries {
    pub(crate) fn append(&mut self, entries: &[NewEntry]) -> Appended {
        let reach = self.reach.get_or_insert_with(|| Reach::new(entries[0].at));
        let appended = reach.append(entries);
        for (count, entry) in entries.iter().enumerate() {
            let cursor = appended.first.advanced(count);
            let share = self.shares.entry(entry.gateway);
            share.or_insert_with(|| Share::new(cursor.before())).append(entry);
            self.by_cursor.insert(cursor, entry.clone());
        }
        appended
    }

    pub(crate) fn read(&self, after: Option<Cursor>, filter: &JournalFilter, limit: usize) -> Page {
        let Some(reach) = self.reach else {
            return Page::of_nothing(after);
        };
        let (window, lost) = reach.window(after);
        let within = (Bound::Excluded(window.above), Bound::Included(window.to));
        let taken = || self.by_cursor.range(within).filter(|(_, entry)| filter.takes(entry));
        let sizes = taken().map(|(cursor, entry)| (*cursor, entry.size()));
        let (fits, is_cut) = fitting(sizes, backend::page_size(limit), limits::JOURNAL_PAGE_BYTES);
        let next = fits.filter(|_| is_cut).unwrap_or(window.to);
        let entries = taken().take_while(|(cursor, _)| **cursor <= next);
        Page {
            lost,
            entries: entries
                .map(|(cursor, entry)| Entry {
                    cursor: *cursor,
                    entry: entry.clone(),
                })
                .collect(),
            next: Some(next),
            is_end: next == reach.newest,
        }
    }

    pub(crate) fn prune(&mut self, retention: &Retention, now: Timestamp, limit: usize) -> Pruned {
        let mut pruned = self.prune_old(retention, now, limit);
        if let Some(max) = retention.max_bytes
            && !pruned.more
        {
            let left = backend::page_size(limit).saturating_sub(usize::try_from(pruned.entries).unwrap_or(0));
            pruned.add(self.prune_too_much(max, left));
        }
        pruned
    }

    fn prune_old(&mut self, retention: &Retention, now: Timestamp, limit: usize) -> Pruned {
        let by_age = Retention {
            max_bytes: None,
            ..*retention
        };
        let bytes = self.reach.map_or(0, |reach| reach.bytes);
        let oldest = self.by_cursor.iter().map(|(cursor, entry)| Aged {
            cursor: *cursor,
            size: entry.size(),
            at: corrected(entry.at, *cursor, &self.clock_steps),
        });
        let (cut, pruned) = by_age.cut(oldest, bytes, now, backend::page_size(limit));
        if let Some(cut) = cut {
            let rest = self.by_cursor.split_off(&cut.advanced(1));
            for entry in std::mem::replace(&mut self.by_cursor, rest).into_values() {
                if let Some(share) = self.shares.get_mut(&entry.gateway) {
                    share.prune(1, entry.size());
                }
            }
            self.pruned(pruned);
        }
        pruned
    }

    fn prune_too_much(&mut self, max: u64, limit: usize) -> Pruned {
        let excess = self.reach.map_or(0, |reach| reach.bytes.saturating_sub(max));
        let Some(from) = prune_from(&self.shares, max).filter(|_| excess > 0) else {
            return Pruned::default();
        };
        let rows = self.by_cursor.range((Bound::Excluded(from), Bound::Unbounded));
        let plan = PrunePlan::make(
            &self.shares,
            rows.map(|(cursor, entry)| candidate(*cursor, entry)),
            max,
            excess,
            limit,
        );
        let mut pruned = Pruned {
            more: plan.entries == limit,
            ..Pruned::default()
        };
        for cursor in plan.cursors() {
            self.by_cursor.remove(&cursor);
        }
        let oldest = self.by_cursor.first_key_value().map(|(cursor, _)| *cursor);
        for run in plan.settle(oldest) {
            if let Some(share) = self.shares.get_mut(&run.gateway) {
                run.apply_to(share);
            }
            pruned.add(run.gone);
            self.by_cursor.extend(run.marker);
        }
        self.pruned(pruned);
        pruned
    }

    /// Updates the state after entries were deleted: the oldest entry is another one, and older steps of the clock are of no use.
    fn pruned(&mut self, pruned: Pruned) {
        let oldest = self.by_cursor.first_key_value().map(|(cursor, _)| *cursor);
        if let Some(reach) = &mut self.reach {
            reach.prune(pruned.entries, pruned.bytes, oldest.map(Cursor::before));
            let before = reach.pruned;
            self.clock_steps.retain(|step| step.upto > before);
        }
        self.shares.retain(|_, share| share.entries > 0);
    }

    pub(crate) fn note_clock_step(&mut self, step: ClockStep) {
        self.clock_steps.push(step);
        let surplus = self.clock_steps.len().saturating_sub(CLOCK_STEPS_KEPT);
        self.clock_steps.drain(..surplus);
    }

    pub(crate) fn acknowledge(
        &mut self,
        consumer: &str,
        cursor: Cursor,
        reader: ReaderId,
        at: Timestamp,
    ) -> Result<Acknowledged, StoreError> {
        let newest = Reach::check(self.reach, cursor)?;
        let acknowledged = Acknowledged::of(self.consumers.get(consumer), cursor, newest);
        if acknowledged.is_news(reader) {
            let name = consumer.to_owned();
            let consumer = Consumer {
                name: name.clone(),
                cursor: acknowledged.now,
                at,
                reader: Some(reader),
            };
            self.consumers.insert(name, consumer);
        }
        Ok(acknowledged)
    }
}

fn candidate(cursor: Cursor, entry: &NewEntry) -> Candidate {
    let is_hole = entry.kind == EntryLabel::marker(PRUNED_MARKER);
    Candidate {
        cursor,
        gateway: entry.gateway,
        size: entry.size(),
        at: entry.at,
        generation: entry.generation,
        stands_for: is_hole.then(|| entry.body.decode::<Hole>().ok()).flatten(),
    }
}
