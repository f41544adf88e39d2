//! The journal's recorder.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::{JoinHandle, spawn_local};
use windlass_store::{MemoryStore, Store};

use crate::{Place, Recorder, RecorderSettings, RecorderState, Trail, TrailFilter, TrailItem, What};
use windlass_line::EventFilter;
use windlass_line::failpoint::arm;
use windlass_line::testing::{Harness, play, until};

struct Recorded {
    harness: Harness,
    store: Arc<MemoryStore>,
    recorder: Recorder,
    task: JoinHandle<()>,
}

impl Recorded {
    async fn new() -> Self {
        let (harness, store) = (Harness::new(), Arc::new(MemoryStore::new()));
        let settings = RecorderSettings {
            filter: EventFilter::all().name("custom"),
            ..RecorderSettings::default()
        };
        let opened = Recorder::open(
            Arc::clone(&store) as Arc<dyn Store>,
            settings,
            Arc::clone(&harness.clock),
        )
        .await;
        let (recorder, recording) = opened.unwrap();
        let started = Self {
            harness,
            store,
            recorder,
            task: spawn_local(recording.run()),
        };
        let line = started.harness.up("gw").await;
        started.recorder.record(line);
        started.entries(1).await;
        started
    }

    fn emit(&self, n: u64) {
        self.harness.sim.emit("custom", json!({ "n": n }));
    }

    /// Waits until so many entries were recorded in all.
    async fn entries(&self, count: u64) {
        until(&*self.harness.clock, "an entry", || {
            self.recorder.status().borrow().entries >= count
        })
        .await;
    }

    /// What the journal has: numbers of events, names of markers.
    async fn words(&self) -> Vec<String> {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        let clock = Arc::clone(&self.harness.clock);
        let trail = Trail::open(store, clock, Place::Start, TrailFilter::default()).await;
        let mut trail = trail.unwrap().to_the_end();
        let mut words = Vec::new();
        while let Some(TrailItem::Recorded(entry)) = trail.next().await.unwrap() {
            words.push(match &entry.what {
                What::Event(event) => event.decode::<Value>().unwrap()["n"].to_string(),
                What::Marker(marker) => marker.name().to_owned(),
            });
        }
        words
    }

    async fn finish(self) {
        self.recorder.stop().await;
        assert_eq!(self.recorder.status().borrow().state, RecorderState::Ended);
        self.task.await.unwrap();
        self.harness.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_panics_over_an_event_goes_on_behind_a_marked_hole() {
    play(async {
        let recorded = Recorded::new().await;
        recorded.emit(1);
        recorded.entries(2).await;
        let armed = arm("recorder.stream", 1);
        recorded.emit(2);
        armed.gone_off().await;
        // A rest of a second, with nobody subscribed.
        recorded.entries(3).await;
        recorded.emit(3);
        recorded.entries(4).await;
        assert_eq!(recorded.words().await, ["began", "1", "began", "3"]);
        recorded.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_panics_behind_a_commit_knows_what_is_there() {
    play(async {
        let recorded = Recorded::new().await;
        let armed = arm("recorder.stored", 1);
        recorded.emit(1);
        armed.gone_off().await;
        let known = || recorded.recorder.status().borrow().newest;
        until(&*recorded.harness.clock, "the next task", || {
            recorded.recorder.status().borrow().entries >= 2
        })
        .await;
        recorded.emit(2);
        recorded.entries(3).await;
        let extent = windlass_store::Journal::journal_extent(&*recorded.store).await.unwrap();
        assert_eq!(known(), extent.newest);
        assert_eq!(recorded.words().await, ["began", "1", "began", "2"]);
        recorded.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_panics_again_and_again_rests_and_comes_back() {
    play(async {
        let recorded = Recorded::new().await;
        let (first, again) = (arm("recorder.stream", 1), arm("recorder", 7));
        let start = recorded.harness.clock.now();
        recorded.emit(1);
        first.gone_off().await;
        again.gone_off().await;
        recorded.entries(2).await;
        assert!(recorded.harness.clock.now() - start > Duration::from_secs(60));
        recorded.emit(2);
        recorded.entries(3).await;
        assert_eq!(recorded.words().await, ["began", "began", "2"]);
        recorded.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_rests_stops_at_once_and_in_good_order() {
    play(async {
        let recorded = Recorded::new().await;
        let (first, again) = (arm("recorder.stream", 1), arm("recorder", 5));
        recorded.emit(1);
        first.gone_off().await;
        again.gone_off().await;
        let start = recorded.harness.clock.now();
        let (clock, words) = (Arc::clone(&recorded.harness.clock), {
            recorded.recorder.stop().await;
            recorded.words().await
        });
        assert!(
            clock.now() - start < Duration::from_secs(1),
            "a rest of 30 s was cut short"
        );
        assert_eq!(words.last().map(String::as_str), Some("ended"), "{words:?}");
        recorded.finish().await;
    })
    .await;
}
