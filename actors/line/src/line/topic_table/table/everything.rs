//! The topic that grows: the sessions, and the messages of each.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;
use windlass_protocol::RawJson;
use windlass_protocol::json::decode_with;

use super::{MAX_TOPICS, Table, Up};
use crate::line::topic_table::asking::SNAPSHOT_SESSIONS;
use crate::line::topic_table::entry::Entry;
use crate::line::topic_table::outcome::Outcome;
use crate::routing::{Marker, Topic};

/// A list of sessions, as far as it is followed.
#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    sessions: Vec<Row<'a>>,
    #[serde(rename = "hasMore", default)]
    has_more: Option<bool>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
}

impl Table {
    /// A session was seen, and `Everything` may be declared.
    pub(in super::super) fn saw(&mut self, session: &str) {
        if self.everything > 0 {
            self.grow(session);
        }
    }

    /// Tells once that everything is subscribed, when nothing is to be asked any more.
    pub(super) fn tell_settled(&mut self, outcome: &mut Outcome) {
        let Some(Up { generation, .. }) = self.up else {
            return;
        };
        if self.unsettled && self.asked == 0 && self.due.is_empty() && self.resting.is_empty() {
            self.unsettled = false;
            self.counters.done += 1;
            outcome.markers.push(Marker::Resynced {
                generation,
                what: Topic::Everything,
                snapshot: None,
                again: false,
            });
        }
    }

    /// Brings the sessions of `Everything` in line with a list of sessions.
    pub(super) fn follow(&mut self, list: Option<&RawJson>) {
        // A list of another shape has nothing to follow; the one that asked for it gets it as it is.
        if let Some(list) = list {
            let _ = decode_with(list.as_str(), |text| {
                serde_json::from_str(text).map(|list| self.follow_rows(&list))
            });
        }
    }

    fn follow_rows(&mut self, list: &List<'_>) {
        let whole = list.has_more != Some(true) && list.sessions.len() < SNAPSHOT_SESSIONS as usize;
        if whole {
            let keys: BTreeSet<&str> = list.sessions.iter().map(|row| &*row.key).collect();
            self.shrink(|key| keys.contains(key));
        }
        for row in &list.sessions {
            self.grow(&row.key);
        }
    }

    fn grow(&mut self, session: &str) {
        let topic = Topic::messages(session);
        if let Some(entry) = self.entries.get_mut(&topic) {
            entry.grown = true;
            return;
        }
        if self.entries.len() >= MAX_TOPICS {
            self.counters.left_out += 1;
            return;
        }
        let entry = Entry {
            grown: true,
            stale: true,
            ..Entry::default()
        };
        self.entries.insert(topic.clone(), entry);
        self.unsettled = true;
        self.review(&topic);
    }

    /// Takes `Everything` off the sessions that are not to be kept.
    pub(super) fn shrink(&mut self, keep: impl Fn(&str) -> bool) {
        let mut gone = Vec::new();
        for (topic, entry) in &mut self.entries {
            if entry.grown && !topic.session().is_some_and(&keep) {
                entry.grown = false;
                gone.push(topic.clone());
            }
        }
        for topic in gone {
            self.review(&topic);
        }
    }
}
