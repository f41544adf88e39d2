//! The sessions of one gateway and their active runs, kept up to date from `sessions.list` and events.
//!
//! [`SessionRoster`] takes snapshots and deltas in the order in which they came, and says the same as a fresh `sessions.list` would
//! say, or knows that it may not: then [`SessionRoster::stale`] tells why, and a fresh list repairs it. Pure: no IO, no clock.
//!
//! Rules of the wire that it goes by:
//! - a `sessions.changed` event with a row replaces the row (2026.9.6); one without a row, or without a session, only says that
//!   a fresh list is needed;
//! - `sessions.list` and events carry the gateway's clock, so that an event that was on its way while a list was made is not
//!   applied twice, nor lost;
//! - generation 3 up to 2026.3 sends no `sessions.changed`: there runs begin and end by `chat` and `agent` events, and the end of
//!   a run means that its session's row changed;
//! - after a run's end some of its events still come (`lifecycle` `model`, 2026.9.6): only a begin begins.

mod events;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::SessionKeySpace;
use crate::request::{SessionRow, SessionsListReply};

/// Most sessions kept: past it those that changed longest ago are left out and [`SessionRoster::is_cut`] says so.
pub const SESSIONS_KEPT: usize = 10_000;

/// Most sessions with noted runs and no known row yet: they wait for the list that [`SessionRoster::stale`] asks for.
const UNLISTED_KEPT: usize = 256;

/// Why the roster may differ from a fresh list of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stale {
    /// No list was taken yet.
    Empty,
    /// The line is, or was, down.
    LineDown,
    /// Events were lost.
    Gap,
    /// An event reported a change without its contents: releases before 2026.9 name the session without its row, and some
    /// events name no session.
    Unnamed,
    /// A list has more pages.
    Paging,
}

/// The next request, after a page of a list was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RosterPage {
    /// The list was complete.
    Complete,
    /// Ask again with this offset (from 2026.6 on; older releases give everything at once).
    Next(u32),
}

/// One session.
#[derive(Debug, Clone, PartialEq)]
pub struct RosterEntry {
    /// Its row, as the gateway last said.
    pub row: SessionRow,
    /// Its active runs, those begun last at the end.
    pub runs: Vec<String>,
    /// Whether something runs in it; true with no run named where the gateway names none.
    pub active: bool,
}

/// The sessions of one gateway. A clone shares its entries: it costs a list of pointers, not a copy of the sessions.
#[derive(Debug, Clone, Default)]
pub struct SessionRoster {
    entries: BTreeMap<Arc<str>, Arc<RosterEntry>>,
    space: SessionKeySpace,
    /// When events since the last list was asked for told of a session, in ms since 1970: a list made earlier has older news.
    said_at: BTreeMap<Arc<str>, u64>,
    /// Sessions with runs that may have ended unheard, and those runs: where the next list says nothing of runs, they count as
    /// over.
    doubted: BTreeMap<Arc<str>, Vec<String>>,
    /// Sessions with a last row that reported a run without its name.
    nameless: BTreeSet<Arc<str>>,
    /// When the last list was made: events made earlier have older news.
    listed_ms: Option<u64>,
    /// Runs of sessions without a row.
    unlisted: BTreeMap<String, Vec<String>>,
    stale: Staleness,
    paging: Option<Paging>,
    /// The reason that made it stale after a list was asked for, where only the order tells.
    gap_since_asked: Option<Stale>,
    /// Events of this gateway carry rows.
    rows_come: bool,
    cut: bool,
    /// The gateway has more sessions than it listed, and no way to list them.
    listed_in_part: bool,
    version: u64,
}

#[derive(Debug, Clone, Copy)]
struct Staleness {
    why: Option<Stale>,
    /// When the event came that made it so, by the gateway's clock.
    since_ms: Option<u64>,
}

impl Default for Staleness {
    fn default() -> Self {
        Self {
            why: Some(Stale::Empty),
            since_ms: None,
        }
    }
}

/// A list that comes in pages.
#[derive(Debug, Clone)]
struct Paging {
    keys: BTreeSet<Arc<str>>,
    /// When its first page was made: later changes are known by events only.
    ts: Option<u64>,
    next: u32,
}

impl SessionRoster {
    /// The first page of a list is asked for now: it does not cover vague news that come after this. Without
    /// this call a second list may be asked for in vain.
    pub fn on_asked(&mut self) {
        self.gap_since_asked = None;
        self.said_at.clear();
    }

    /// Takes one page of `sessions.list` that was asked for with `offset`; 0 begins anew. The list has to be asked for without
    /// filters.
    pub fn on_list(&mut self, reply: &SessionsListReply, offset: u32) -> RosterPage {
        let mut paging = match self.paging.take().filter(|paging| offset == paging.next && offset > 0) {
            Some(paging) => paging,
            None if offset == 0 => Paging {
                keys: BTreeSet::new(),
                ts: reply.ts,
                next: 0,
            },
            // A page of a list that was given up.
            None => return RosterPage::Next(0),
        };
        for row in &reply.sessions {
            paging.keys.insert(row.key.as_str().into());
            self.take_listed(row, reply.ts);
        }
        let next = reply.next_offset.and_then(|next| u32::try_from(next).ok());
        if reply.has_more == Some(true)
            && let Some(next) = next.filter(|next| *next > offset)
        {
            paging.next = next;
            self.paging = Some(paging);
            self.stale.why = Some(Stale::Paging);
            return RosterPage::Next(next);
        }
        self.listed_in_part = reply.has_more == Some(true);
        self.complete(&paging);
        RosterPage::Complete
    }

    fn take_listed(&mut self, row: &SessionRow, ts: Option<u64>) {
        self.settle_doubts(row);
        if !self.told_since(&row.key, ts) {
            self.put(row.clone());
        }
    }

    /// Whether an event that came before the list is newer than the list. An event of the same ms came first, so the
    /// list can't have less.
    fn told_since(&self, key: &str, ts: Option<u64>) -> bool {
        matches!((self.said_at.get(key), ts), (Some(said), Some(ts)) if *said >= ts)
    }

    /// A session that the whole list does not have is gone, unless an event reported it later.
    fn complete(&mut self, paging: &Paging) {
        let mut entries = std::mem::take(&mut self.entries);
        let before = entries.len();
        entries.retain(|key, _| paging.keys.contains(key) || self.told_since(key, paging.ts));
        self.version += u64::from(entries.len() != before);
        self.entries = entries;
        self.nameless.retain(|key| self.entries.contains_key(key));
        self.unlisted.clear();
        self.doubted.clear();
        self.listed_ms = paging.ts;
        let covered = match (self.stale.since_ms, paging.ts) {
            (Some(since), Some(ts)) => since < ts,
            _ => true,
        };
        if let Some(gap) = self.gap_since_asked.take() {
            // No page is awaited any more.
            self.stale.why = None;
            self.mark(gap, None);
        } else if covered {
            self.stale = Staleness {
                why: None,
                since_ms: None,
            };
        } else {
            self.stale.why = Some(Stale::Unnamed);
        }
        self.shrink();
    }

    /// Events were lost.
    pub fn on_gap(&mut self) {
        self.doubt_runs();
        self.mark(Stale::Gap, None);
    }

    /// The line broke.
    pub fn on_line_down(&mut self) {
        self.paging = None;
        self.doubt_runs();
        self.mark(Stale::LineDown, None);
    }

    /// The line is up again, to another process than before: no run of the old one goes on under its id, and its clock may
    /// be another.
    pub fn on_restarted(&mut self) {
        self.said_at.clear();
        self.listed_ms = None;
        self.unlisted.clear();
        self.doubted.clear();
        for entry in self.entries.values_mut().filter(|entry| entry.active) {
            let entry = Arc::make_mut(entry);
            (entry.runs, entry.active) = (Vec::new(), false);
            self.version += 1;
        }
    }

    /// Why a fresh list is needed; nothing when none is.
    pub const fn stale(&self) -> Option<Stale> {
        self.stale.why
    }

    /// Counts up with each change, for a watchable value.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The gateway spells the keys of its sessions so.
    pub fn spell(&mut self, space: SessionKeySpace) {
        self.space = space;
    }

    /// One session, by its key in whichever spelling the gateway takes.
    pub fn get(&self, key: &str) -> Option<&RosterEntry> {
        let exact = self.entries.get(key);
        let spelled = || {
            let spellings = self.space.spellings(key);
            spellings.iter().find_map(|key| self.entries.get(key))
        };
        exact.or_else(spelled).map(|entry| &**entry)
    }

    /// The key under which a session is listed that an event shows: 2026.1.30 lists `agent:main:main` and tells of `main`.
    fn listed<'k>(&self, shown: &'k str) -> Cow<'k, str> {
        if shown.starts_with("agent:") || self.entries.contains_key(shown) {
            return shown.into();
        }
        let canonical = self.space.spellings(shown).canonical().to_owned();
        if self.entries.contains_key(canonical.as_str()) {
            canonical.into()
        } else {
            shown.into()
        }
    }

    /// All sessions, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RosterEntry)> {
        self.entries.iter().map(|(key, entry)| (&**key, &**entry))
    }

    /// Sessions in which something runs.
    pub fn active(&self) -> impl Iterator<Item = (&str, &RosterEntry)> {
        self.iter().filter(|(_, entry)| entry.active)
    }

    /// How many sessions are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a session is at work by its row alone, with no run named. A list that is made within half a second of a run's end
    /// says so too, and no event takes it back (2026.5.12, 2026.7.1): only another list tells.
    pub fn has_nameless_run(&self) -> bool {
        let nameless = |key: &Arc<str>| {
            self.entries
                .get(key)
                .is_some_and(|entry| entry.active && entry.runs.is_empty())
        };
        self.nameless.iter().any(nameless)
    }

    /// Whether there are more sessions than are kept, or than the gateway lists.
    pub const fn is_cut(&self) -> bool {
        self.cut || self.listed_in_part
    }

    fn put(&mut self, row: SessionRow) {
        let said = said(&row.extra);
        let known = self.entries.get(row.key.as_str());
        // A reset ends what ran, and 2026.3.13 tells nobody of it. A run of the new session shows with its next increment.
        let replaced = |known: &SessionRow| {
            known.session_id.is_some() && row.session_id.is_some() && known.session_id != row.session_id
        };
        let goes_on = known.filter(|known| !replaced(&known.row));
        let runs = goes_on.map(|entry| entry.runs.clone());
        let runs = runs.or_else(|| self.unlisted.remove(&row.key)).unwrap_or_default();
        let (runs, active) = match said {
            Said::These(ids) => (ids.clone(), !ids.is_empty()),
            Said::Something => (runs, true),
            Said::Nothing => (runs.clone(), !runs.is_empty()),
        };
        if active && runs.is_empty() {
            self.nameless.insert(row.key.as_str().into());
        } else {
            self.nameless.remove(row.key.as_str());
        }
        let entry = RosterEntry { row, runs, active };
        if known.map(|known| &**known) != Some(&entry) {
            self.version += 1;
            self.entries.insert(entry.row.key.as_str().into(), Arc::new(entry));
        }
    }

    fn note(&mut self, key: &str, ts: Option<u64>) {
        if let Some(ts) = ts {
            self.said_at.insert(key.into(), ts);
        }
        // Without lists these would pile up; the next list is then taken as it is.
        if self.said_at.len() > 2 * SESSIONS_KEPT {
            self.said_at.clear();
        }
    }

    fn mark(&mut self, why: Stale, ts: Option<u64>) {
        if ts.is_none() {
            // Nothing but the order tells whether a list covers it.
            self.gap_since_asked = Some(why);
        }
        self.stale.since_ms = self.stale.since_ms.max(ts);
        if self.stale.why.is_none() || matches!(why, Stale::Gap | Stale::LineDown) {
            self.stale.why = Some(why);
        }
    }

    fn begin(&mut self, key: &str, run: &str) {
        self.trust(key, run);
        if let Some(entry) = self.entries.get_mut(key) {
            // Each increment of a run says so again: an entry that is shared is copied only where it changes.
            if !entry.active || !entry.runs.iter().any(|known| known == run) {
                let entry = Arc::make_mut(entry);
                begin(&mut entry.runs, run);
                entry.active = true;
                self.version += 1;
            }
            return;
        }
        self.mark(Stale::Unnamed, None);
        if self.unlisted.len() < UNLISTED_KEPT || self.unlisted.contains_key(key) {
            begin(self.unlisted.entry(key.to_owned()).or_default(), run);
        }
    }

    fn end(&mut self, key: &str, run: &str) {
        if let Some(entry) = self.entries.get_mut(key) {
            let known = entry.runs.iter().any(|known| known == run);
            if known || entry.active == entry.runs.is_empty() {
                let entry = Arc::make_mut(entry);
                end(&mut entry.runs, run);
                entry.active = !entry.runs.is_empty();
                self.version += 1;
            }
        } else if let Some(runs) = self.unlisted.get_mut(key) {
            end(runs, run);
        } else {
            self.mark(Stale::Unnamed, None);
        }
    }

    /// The session begins anew: its runs are over.
    fn end_all(&mut self, key: &str) {
        self.unlisted.remove(key);
        self.doubted.remove(key);
        if let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.active) {
            let entry = Arc::make_mut(entry);
            (entry.runs, entry.active) = (Vec::new(), false);
            self.version += 1;
        }
    }

    /// Leaves out the sessions that changed longest ago.
    fn shrink(&mut self) {
        let over = self.entries.len().saturating_sub(SESSIONS_KEPT);
        self.cut = over > 0 || (self.cut && self.entries.len() == SESSIONS_KEPT);
        if over == 0 {
            return;
        }
        let mut ages: Vec<(u64, Arc<str>)> = self
            .entries
            .iter()
            .map(|(key, entry)| (entry.row.updated_at.unwrap_or_default(), Arc::clone(key)))
            .collect();
        ages.select_nth_unstable(over - 1);
        for (_, key) in ages.drain(..over) {
            self.entries.remove(&key);
            self.said_at.remove(&key);
        }
    }
}

/// Most runs noted for one session; a session runs one at a time, so more are strays with lost ends.
pub const RUNS_KEPT: usize = 16;

/// Adds a run. Whether that changed anything.
fn begin(runs: &mut Vec<String>, run: &str) -> bool {
    if runs.iter().any(|known| known == run) {
        return false;
    }
    if runs.len() == RUNS_KEPT {
        runs.remove(0);
    }
    runs.push(run.to_owned());
    true
}

/// Takes a run out. Whether that changed anything.
fn end(runs: &mut Vec<String>, run: &str) -> bool {
    let before = runs.len();
    runs.retain(|known| known != run);
    runs.len() != before
}

/// The members of a row about its runs (2026.9.6): `hasActiveRun`, and `activeRunIds`, which is `null` where it does not say.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// It says nothing.
    Nothing,
    /// These run, and no others.
    These(Vec<String>),
    /// Something runs.
    Something,
}

fn said(row: &Map<String, Value>) -> Said {
    if row.get("hasActiveRun").and_then(Value::as_bool) == Some(false) {
        return Said::These(Vec::new());
    }
    if let Some(Value::Array(ids)) = row.get("activeRunIds") {
        let ids = ids.iter().filter_map(Value::as_str).map(str::to_owned);
        let ids: Vec<String> = ids.take(RUNS_KEPT).collect();
        if !ids.is_empty() {
            return Said::These(ids);
        }
    }
    match row.get("hasActiveRun") {
        Some(Value::Bool(true)) => Said::Something,
        _ => Said::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_names_its_runs_or_says_that_there_are_some_or_nothing() {
        let read = |row: Value| said(row.as_object().unwrap());
        assert_eq!(read(json!({})), Said::Nothing);
        assert_eq!(
            read(json!({"hasActiveRun": true, "activeRunIds": null})),
            Said::Something
        );
        assert_eq!(
            read(json!({"hasActiveRun": false, "activeRunIds": null})),
            Said::These(vec![])
        );
        assert_eq!(
            read(json!({"hasActiveRun": true, "activeRunIds": ["r"]})),
            Said::These(vec!["r".into()])
        );
    }

    #[test]
    fn strays_do_not_pile_up() {
        let mut runs = Vec::new();
        for run in 0..100 {
            begin(&mut runs, &run.to_string());
        }
        assert_eq!((runs.len(), runs[RUNS_KEPT - 1].as_str()), (RUNS_KEPT, "99"));
        assert!(end(&mut runs, "99") && !end(&mut runs, "99") && !begin(&mut runs, "98"));
    }
}
