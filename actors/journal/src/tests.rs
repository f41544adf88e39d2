//! The writer under supervision: the cells of docs/supervision.md that need a panic in a chosen place.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::{JoinHandle, spawn_local};
use windlass_store::{MemoryStore, Store};

use crate::{
    EntryKind, JournalItem, JournalReader, JournalWriter, JournalWriterConfig, JournalWriterState, ReaderFilter,
    StartPosition,
};
use windlass_line::EventFilter;
use windlass_line::failpoint::arm;
use windlass_line::testing::{Harness, play, until};

struct WriterFixture {
    harness: Harness,
    store: Arc<MemoryStore>,
    writer: JournalWriter,
    task: JoinHandle<()>,
}

impl WriterFixture {
    async fn new() -> Self {
        let (harness, store) = (Harness::new(), Arc::new(MemoryStore::new()));
        let settings = JournalWriterConfig {
            filter: EventFilter::all().name("custom"),
            ..JournalWriterConfig::default()
        };
        let opened = JournalWriter::open(
            Arc::clone(&store) as Arc<dyn Store>,
            settings,
            Arc::clone(&harness.clock),
        )
        .await;
        let (writer, task) = opened.unwrap();
        let started = Self {
            harness,
            store,
            writer,
            task: spawn_local(task.run()),
        };
        let line = started.harness.up("gw").await;
        started.writer.record(line);
        started.entries(1).await;
        started
    }

    fn emit(&self, n: u64) {
        self.harness.sim.emit("custom", json!({ "n": n }));
    }

    /// Waits until so many entries were recorded in all.
    async fn entries(&self, count: u64) {
        until(&*self.harness.clock, "an entry", || {
            self.writer.status().borrow().entries >= count
        })
        .await;
    }

    /// What the journal has: numbers of events, names of markers.
    async fn words(&self) -> Vec<String> {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        let clock = Arc::clone(&self.harness.clock);
        let trail = JournalReader::open(store, clock, StartPosition::Start, ReaderFilter::default()).await;
        let mut trail = trail.unwrap().to_the_end();
        let mut words = Vec::new();
        while let Some(JournalItem::Recorded(entry)) = trail.next().await.unwrap() {
            words.push(match &entry.kind {
                EntryKind::Event(event) => event.decode::<Value>().unwrap()["n"].to_string(),
                EntryKind::Marker(marker) => marker.name().to_owned(),
            });
        }
        words
    }

    async fn finish(self) {
        self.writer.stop().await;
        assert_eq!(self.writer.status().borrow().state, JournalWriterState::Ended);
        self.task.await.unwrap();
        self.harness.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_panics_over_an_event_goes_on_behind_a_marked_hole() {
    play(async {
        let recorded = WriterFixture::new().await;
        recorded.emit(1);
        recorded.entries(2).await;
        let armed = arm("journal.stream", 1);
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
async fn a_writer_that_panics_behind_a_commit_knows_what_is_there() {
    play(async {
        let recorded = WriterFixture::new().await;
        let armed = arm("journal.stored", 1);
        recorded.emit(1);
        armed.gone_off().await;
        let known = || recorded.writer.status().borrow().newest;
        until(&*recorded.harness.clock, "the next task", || {
            recorded.writer.status().borrow().entries >= 2
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
async fn a_writer_that_panics_again_and_again_rests_and_comes_back() {
    play(async {
        let recorded = WriterFixture::new().await;
        let (first, again) = (arm("journal.stream", 1), arm("journal", 7));
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
async fn a_writer_that_rests_stops_at_once_and_in_good_order() {
    play(async {
        let recorded = WriterFixture::new().await;
        let (first, again) = (arm("journal.stream", 1), arm("journal", 5));
        recorded.emit(1);
        first.gone_off().await;
        again.gone_off().await;
        let start = recorded.harness.clock.now();
        let (clock, words) = (Arc::clone(&recorded.harness.clock), {
            recorded.writer.stop().await;
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
