//! The observers of a world while it is played, and their records.

use std::time::Duration;

use tokio::task::{JoinHandle, spawn_local};
use windlass::{SessionCache, Topic, TopicSubscription};

use super::SETTLES;
use crate::cast::ReadLog;
use crate::oracle::{self, Promise, Verdict};
use crate::site::Site;
use crate::world::{HiddenData, Plan, World};

/// The work and the observations at a site while the faults happen.
pub(super) struct Watch {
    notebooks: Vec<ReadLog>,
    reading: Vec<JoinHandle<()>>,
    topics: Vec<TopicSubscription>,
    roster: Option<SessionCache>,
}

impl Watch {
    pub(super) async fn begin(site: &Site, plan: &Plan) -> Self {
        let mut notebooks = Vec::new();
        let mut reading = Vec::new();
        for (number, reader) in plan.readers.iter().enumerate() {
            let notebook = ReadLog::default();
            reading.push(spawn_local(notebook.open(site, number, *reader)));
            notebooks.push(notebook);
        }
        let mut topics = Vec::new();
        if plan.topics {
            for topic in [Topic::Sessions, Topic::messages("agent:main:talk-0")] {
                topics.extend(site.gateway.subscribe_topic(topic).ok());
            }
        }
        let roster = if plan.roster {
            site.gateway.session_cache().await.ok()
        } else {
            None
        };
        Self {
            notebooks,
            reading,
            topics,
            roster,
        }
    }

    pub(super) async fn judge(mut self, site: &Site, world: &World, number: usize, whole: bool, verdict: &mut Verdict) {
        let wire = world.wire(number);
        if whole {
            self.last_pulses(site, verdict).await;
            // A question that became another one on its way is refused, and then not asked again before the next connection. And
            // where a change's event was lost, and events of changes have no numbers, no roster knows of it.
            if let Some(roster) = &mut self.roster
                && (wire.hides == HiddenData::Nothing
                    || wire.hides == HiddenData::LostEvents && numbers_changes(world.sites[number].release))
            {
                oracle::roster(verdict, site.name(), &site.gateway, roster).await;
            }
        }
        let generation = site.gateway.status().borrow().generation.number();
        for (reader, notebook) in self.notebooks.iter().enumerate() {
            let (name, items) = (format!("{}/{reader}", site.name()), notebook.items());
            let patient = world.sites[number].readers[reader].takes.is_zero();
            if told(wire.hides, world.sites[number].release) {
                oracle::in_order(verdict, &name, &items, wire);
            }
            if whole && patient && !self.topics.is_empty() && wire.hides != HiddenData::Contents {
                oracle::declared(verdict, &name, &items, generation);
            }
        }
        for reading in self.reading {
            reading.abort();
            let _ = reading.await;
        }
    }

    /// Events that are sent now reach every subscriber. (A slow subscriber may lose one of them to items that come at the same time.)
    async fn last_pulses(&self, site: &Site, verdict: &mut Verdict) {
        let first = site.pulse();
        let seen = async {
            while !self.notebooks.iter().all(|notebook| notebook.has_seen_from(first)) {
                tokio::time::sleep(Duration::from_secs(1)).await;
                site.pulse();
            }
        };
        let seen = tokio::time::timeout(SETTLES, seen).await.is_ok();
        verdict.holds(Promise::EventsTold, seen, || {
            format!("{}: events don't come any more", site.name())
        });
    }
}

/// Whether a release numbers its `sessions.changed`.
fn numbers_changes(release: &str) -> bool {
    let facts = windlass_testkit::Profile::of(release);
    facts.is_some_and(|facts| !facts.global_seq && !facts.unsequenced.contains(&"sessions.changed"))
}

/// Whether the wire of a release shows the loss of events here.
fn told(hides: HiddenData, release: &str) -> bool {
    match hides {
        HiddenData::Nothing => true,
        HiddenData::LostEvents => {
            let facts = windlass_testkit::Profile::of(release);
            facts.is_some_and(|facts| facts.generation == windlass_testkit::Generation::V4)
        }
        HiddenData::Contents => false,
    }
}
