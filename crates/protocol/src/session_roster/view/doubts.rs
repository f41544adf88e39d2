//! Runs that may have ended unheard.

use std::sync::Arc;

use super::SessionRoster;
use crate::request::SessionRow;
use crate::session_roster::runs::{self, Said};

impl SessionRoster {
    /// Events were lost: each run may be over.
    pub(super) fn doubt_runs(&mut self) {
        let active = self.entries.iter().filter(|(_, entry)| entry.active);
        let listed = active.map(|(key, entry)| (Arc::clone(key), entry.runs.clone()));
        let unlisted = self
            .unlisted
            .iter()
            .map(|(key, runs)| (key.as_str().into(), runs.clone()));
        self.doubted = listed.chain(unlisted).collect();
    }

    /// A run goes on. Others of its session may be over all the same.
    pub(super) fn trust(&mut self, key: &str, run: &str) {
        if let Some(lost) = self.doubted.get_mut(key) {
            lost.retain(|known| known != run);
        }
    }

    /// A run that may have ended unheard, and that this row does not name, is over.
    pub(super) fn settle_doubts(&mut self, row: &SessionRow) {
        let Some(mut over) = self.doubted.remove(row.key.as_str()) else {
            return;
        };
        if let Said::These(named) = runs::said(&row.extra) {
            over.retain(|run| !named.contains(run));
        }
        if let Some(runs) = self.unlisted.get_mut(&row.key) {
            runs.retain(|run| !over.contains(run));
        }
        let Some(entry) = self.entries.get_mut(row.key.as_str()).filter(|_| !over.is_empty()) else {
            return;
        };
        let entry = Arc::make_mut(entry);
        entry.runs.retain(|run| !over.contains(run));
        entry.active = !entry.runs.is_empty() || self.nameless.contains(row.key.as_str());
        self.version += 1;
    }
}
