//! A recording process that is cut and dies again and again: the journal has it all.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use windlass::journal::{EntryKind, JournalItem, RecordedEntry, RecordedMarker, StartPosition};
use windlass::{Event, LineState, Marker};
use windlass_testkit::{Generation as Protocol, SimGateway, StreamAudit, StreamFault};

use crate::bench::{play, seed, sim, spec, windlass};
use crate::journal::{memory, next, record};

/// Checks the stream of one gateway: in each connection, events are in order, and each hole has a marker of its size.
#[derive(Default)]
struct Auditor {
    stream: StreamAudit,
    gaps: u64,
}

impl Auditor {
    fn take(&mut self, entry: &RecordedEntry) {
        let checked = match &entry.kind {
            EntryKind::Event(event) => self.event(event),
            EntryKind::Marker(marker) => self.marker(marker),
        };
        checked.unwrap_or_else(|fault| panic!("{fault}: {entry:?}"));
    }

    fn event(&mut self, event: &Event) -> Result<(), StreamFault> {
        if let Some(seq) = event.seq {
            self.stream.numbered(seq)?;
        }
        match &*event.name {
            "custom" => self
                .stream
                .event(event.decode::<Value>().unwrap()["n"].as_u64().unwrap()),
            _ => Ok(()),
        }
    }

    fn marker(&mut self, marker: &RecordedMarker) -> Result<(), StreamFault> {
        match marker {
            RecordedMarker::Began { up: true, .. } | RecordedMarker::Line(Marker::Reconnected { .. }) => {
                self.stream.up();
            }
            RecordedMarker::Began { up: false, .. }
            | RecordedMarker::Line(Marker::Disconnected { .. })
            | RecordedMarker::Ended => self.stream.down(),
            RecordedMarker::Line(Marker::Gap(gap)) => {
                self.gaps += 1;
                self.stream.gap(gap.expected, gap.received)?;
            }
            RecordedMarker::Line(Marker::Unreadable) => self.stream.unreadable(),
            RecordedMarker::Line(Marker::Lagged(dropped)) => self.stream.lagged(*dropped)?,
            _ => {}
        }
        Ok(())
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
                if rng.random_bool(0.2) {
                    // The gateway loses an event and counts it: a gap before the next one.
                    sim.withhold_next_event();
                    send(&sim, &mut n, 2);
                }
                // All that was sent while connected is there, at last.
                while auditor.stream.last() != Some(n - 1) {
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
        eprintln!(
            "{} cuts: {} of {n} events recorded, {} gaps",
            20 * cuts,
            auditor.stream.events(),
            auditor.gaps
        );
        assert!(auditor.gaps > 0, "no event was withheld");
        assert!(
            auditor.stream.events() > 160 * cuts,
            "{} of {n}",
            auditor.stream.events()
        );
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
