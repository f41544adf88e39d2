//! A recording process that is cut and dies again and again: the journal has it all.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use windlass::journal::{EntryKind, JournalItem, RecordedEntry, RecordedMarker, StartPosition};
use windlass::{LineState, Marker};
use windlass_testkit::{Generation as Protocol, SimGateway};

use crate::bench::{play, seed, sim, spec, windlass};
use crate::journal::{memory, next, record};

/// What the stream of one gateway must look like, whatever happened: each connection's events are a beginning of what was sent over
/// it, and end behind the last one or before a word that something is missing.
#[derive(Default)]
struct Auditor {
    /// Whether events may come: a line is up, as far as the stream says.
    open: bool,
    last: Option<u64>,
    holes: u64,
    events: u64,
}

impl Auditor {
    fn take(&mut self, entry: &RecordedEntry) {
        match &entry.kind {
            EntryKind::Event(event) if &*event.name == "custom" => {
                let n = event.decode::<Value>().unwrap()["n"].as_u64().unwrap();
                assert!(self.open, "{n} came where the stream says that nothing can");
                assert!(self.last.is_none_or(|last| n > last), "{n} after {:?}", self.last);
                let whole = self.last.is_some_and(|last| n == last + 1);
                assert!(whole || self.holes > 0, "a hole before {n} that is not marked");
                (self.last, self.holes) = (Some(n), 0);
                self.events += 1;
            }
            EntryKind::Marker(RecordedMarker::Began { up, .. }) => self.hole(*up),
            EntryKind::Marker(RecordedMarker::Line(Marker::Reconnected { .. })) => self.hole(true),
            EntryKind::Marker(RecordedMarker::Line(Marker::Disconnected { .. }) | RecordedMarker::Ended) => {
                self.hole(false);
            }
            EntryKind::Marker(RecordedMarker::Line(Marker::Gap(_) | Marker::Unreadable | Marker::Lagged(_))) => {
                self.hole(self.open);
            }
            EntryKind::Event(_) | EntryKind::Marker(_) => {}
        }
    }

    fn hole(&mut self, open: bool) {
        self.open = open;
        self.holes += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_comes_back_by_its_cursor_after_hundreds_of_cuts_and_twenty_deaths_has_it_all() {
    play(async {
        // Cuts in each of the lives; as many more as `WINDLASS_CUTS` wants in all.
        let wanted = std::env::var("WINDLASS_CUTS").ok();
        let cuts = wanted.map_or(10, |text| text.parse::<u64>().unwrap().div_ceil(20));
        let mut rng = StdRng::seed_from_u64(seed());
        let (sim, store) = (sim(Protocol::V4).start_pipe(), memory());
        let (mut auditor, mut from, mut n) = (Auditor::default(), StartPosition::Start, 0);
        for _ in 0..20 {
            let windlass = windlass([("gw".to_owned(), sim.clone())]);
            let gateway = windlass.add(spec("gw")).await.unwrap();
            let writer = record(&windlass, &store).await;
            let journal = windlass.journal(store.clone());
            for _ in 0..cuts {
                gateway.wait_until_up(Duration::from_secs(600)).await.unwrap();
                let mut reader = journal.reader(from).await.unwrap().following(&writer);
                send(&sim, &mut n, rng.random_range(1..20));
                // All that was sent while connected is there, at last.
                while auditor.last != Some(n - 1) {
                    auditor.take(&next(&mut reader).await);
                }
                from = StartPosition::After(reader.cursor().unwrap());
                // These may be on their way when it breaks.
                send(&sim, &mut n, rng.random_range(0..5));
                sim.cut_all();
                gateway
                    .status()
                    .wait_for(|status| !matches!(status.state, LineState::Up { .. }))
                    .await
                    .unwrap();
            }
            // Everything that this life had is gone at once, as when it is killed: nothing is drained, nothing said.
            drop((windlass, gateway, writer, journal));
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..50))).await;
        }
        let windlass = windlass([("gw".to_owned(), sim.clone())]);
        let mut reader = windlass.journal(store.clone()).reader(from).await.unwrap().to_the_end();
        while let Some(item) = reader.next().await.unwrap() {
            let JournalItem::Recorded(entry) = item else {
                panic!("{item:?}")
            };
            auditor.take(&entry);
        }
        eprintln!("{} cuts: {} of {n} events recorded", 20 * cuts, auditor.events);
        assert!(auditor.events > 160 * cuts, "{} of {n}", auditor.events);
        drop(reader);
        windlass.shutdown(Duration::ZERO).await;
        sim.shutdown().await;
    })
    .await;
}

fn send(sim: &SimGateway, n: &mut u64, count: u64) {
    for _ in 0..count {
        sim.emit("custom", json!({ "n": n }));
        *n += 1;
    }
}
