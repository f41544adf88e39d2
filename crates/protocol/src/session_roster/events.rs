//! The effect of events on the view, and the runs that may have ended while events were lost.

use std::sync::Arc;

use super::{Said, SessionRoster, Stale, said};
use crate::request::SessionRow;
use crate::{AgentEvent, AgentPhase, AgentStream, ChatEvent, ChatState, SessionsChangedEvent};

impl SessionRoster {
    /// Takes a `sessions.changed` event.
    pub fn on_changed(&mut self, event: &SessionsChangedEvent) {
        let Some(shown) = event.session_key.as_deref() else {
            return self.mark(Stale::Unnamed, event.ts);
        };
        let key = &*self.listed(shown);
        let said = said_ms(event);
        if matches!((self.listed_ms, said), (Some(listed), Some(said)) if said < listed) {
            return;
        }
        if event.reason.as_deref() == Some("delete") {
            self.unlisted.remove(key);
            let gone = self.entries.remove(key).is_some();
            self.note(key, said);
            self.version += u64::from(gone);
            return;
        }
        if event.reason.as_deref() == Some("reset") {
            self.end_all(key);
        }
        let row = event.session.clone();
        match row.and_then(|row| serde_json::from_value::<SessionRow>(row).ok()) {
            Some(row) if row.key == key => {
                self.rows_come = true;
                self.put(row);
                self.note(key, said);
            }
            _ => self.mark(Stale::Unnamed, event.ts),
        }
        self.take_phase(key, event);
        self.shrink();
    }

    fn take_phase(&mut self, key: &str, event: &SessionsChangedEvent) {
        let Some(run) = event.run_id.as_deref() else { return };
        match event.phase.as_deref() {
            Some("start") => self.begin(key, run),
            Some("end" | "error") => self.end(key, run),
            _ => {}
        }
    }

    /// Takes a `chat` event: it begins and ends runs on releases without `sessions.changed`.
    pub fn on_chat(&mut self, event: &ChatEvent) {
        self.on_chat_state(&event.session_key, &event.run_id, &event.state);
    }

    /// The same, for the members that it reads: a follower of many runs need not read their texts.
    pub fn on_chat_state(&mut self, session_key: &str, run_id: &str, state: &ChatState) {
        let session_key = &*self.listed(session_key);
        match state {
            ChatState::Delta | ChatState::Status => self.begin(session_key, run_id),
            _ if state.is_terminal() => {
                self.end(session_key, run_id);
                if !self.rows_come {
                    self.mark(Stale::Unnamed, None);
                }
            }
            _ => {}
        }
    }

    /// Takes an `agent` event.
    pub fn on_agent(&mut self, event: &AgentEvent) {
        if event.stream == AgentStream::Lifecycle
            && let (Some(key), Some(phase)) = (event.session_key.as_deref(), event.phase())
        {
            self.on_lifecycle(key, &event.run_id, &phase);
        }
    }

    /// The same, for the members that it reads in the stream `lifecycle`.
    pub fn on_lifecycle(&mut self, session_key: &str, run_id: &str, phase: &AgentPhase) {
        let session_key = &*self.listed(session_key);
        match phase {
            AgentPhase::Start => self.begin(session_key, run_id),
            // After an error a retry may follow, with a start of its own (2026.4, 2026.5).
            AgentPhase::End | AgentPhase::Error => self.end(session_key, run_id),
            _ => {}
        }
    }
}

/// When the news of an event were made: its row is made after the step that it tells of (2026.9.6: up to 0.1 s).
fn said_ms(event: &SessionsChangedEvent) -> Option<u64> {
    let row = event.session.as_ref().and_then(|row| row.get("snapshotAt")?.as_u64());
    event.ts.max(row)
}

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
        if let Said::These(named) = said(&row.extra) {
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
