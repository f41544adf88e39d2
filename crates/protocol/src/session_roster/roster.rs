//! The materialised view.

use crate::request::{SessionRow, SessionsListReply};
use crate::{AgentEvent, ChatEvent, SessionsChangedEvent};

/// Most sessions kept: past it those that changed longest ago are left out and [`SessionRoster::is_cut`] says so.
pub const SESSIONS_KEPT: usize = 10_000;

/// Why the roster may differ from what the gateway would say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stale {
    /// No list was taken yet.
    Empty,
    /// The line is, or was, down.
    LineDown,
    /// Events were lost.
    Gap,
    /// An event said that something changed, and not what: releases before 2026.9 name the session without its row, and some
    /// events name no session.
    Unnamed,
    /// A list has more pages.
    Paging,
}

/// What to ask next, after a page of a list was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RosterPage {
    /// The list was complete.
    Complete,
    /// Ask again with this offset (from 2026.6 on).
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

/// The sessions of one gateway.
#[derive(Debug, Clone)]
pub struct SessionRoster {
    stale: Option<Stale>,
}

impl Default for SessionRoster {
    fn default() -> Self {
        Self {
            stale: Some(Stale::Empty),
        }
    }
}

impl SessionRoster {
    /// Takes one page of `sessions.list` that was asked for with `offset`; 0 begins anew. The list has to be asked for without
    /// filters.
    pub fn on_list(&mut self, _reply: &SessionsListReply, _offset: u32) -> RosterPage {
        RosterPage::Complete
    }

    /// Takes a `sessions.changed` event.
    pub fn on_changed(&mut self, _event: &SessionsChangedEvent) {}

    /// Takes a `chat` event: runs begin and end with them on releases without `sessions.changed`.
    pub fn on_chat(&mut self, _event: &ChatEvent) {}

    /// Takes an `agent` event.
    pub fn on_agent(&mut self, _event: &AgentEvent) {}

    /// Events were lost.
    pub fn on_gap(&mut self) {}

    /// The line broke. `restarted` comes with the next connection: runs of a process that is gone are over.
    pub fn on_line_down(&mut self) {}

    /// The line is up again, to another process than before: no run of the old one goes on under its id.
    pub fn on_restarted(&mut self) {}

    /// Why a fresh list is needed; nothing when none is.
    pub const fn stale(&self) -> Option<Stale> {
        self.stale
    }

    /// Counts up with each change, for a watchable value.
    pub const fn version(&self) -> u64 {
        0
    }

    /// One session, by its full key.
    pub fn get(&self, _key: &str) -> Option<&RosterEntry> {
        None
    }

    /// All sessions, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RosterEntry)> {
        std::iter::empty()
    }

    /// How many sessions are known.
    pub const fn len(&self) -> usize {
        0
    }

    /// Whether none is known.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there are more sessions than are kept.
    pub const fn is_cut(&self) -> bool {
        false
    }
}
