//! What gateways send is kept, in order and once, and every hole in it is marked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use windlass::journal::{
    Cursor, EntryKind, GatewayUid, JournalItem, JournalReader, JournalWriter, JournalWriterError, JournalWriterState,
    Lost, ReaderFilter, RecordedEntry, RecordedMarker, Retention, StartPosition,
};
use windlass::store::{Journal as _, MemoryStore, OwnError};
use windlass::{Clock, EventFilter, GatewayId, Marker, TokioClock, Windlass};
use windlass_testkit::Generation as Protocol;

use crate::bench::{Bench, play, sim, spec, windlass, windlass_with};

pub(crate) fn memory() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new())
}

async fn reader(bench: &Bench, store: &Arc<MemoryStore>, from: StartPosition) -> JournalReader {
    bench.windlass.journal(store.clone()).reader(from).await.unwrap()
}

pub(crate) async fn record(windlass: &Windlass, store: &Arc<MemoryStore>) -> JournalWriter {
    windlass.journal(store.clone()).writer().start().await.unwrap()
}

/// The next entry, over nothing; within an hour of virtual time.
pub(crate) async fn next(reader: &mut JournalReader) -> RecordedEntry {
    match item(reader).await.expect("the stream goes on") {
        JournalItem::Recorded(entry) => *entry,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn item(reader: &mut JournalReader) -> Option<JournalItem> {
    let next = tokio::time::timeout(Duration::from_secs(3600), reader.next()).await;
    next.expect("an item comes").unwrap()
}

/// What an entry is, in one word: the number of an event, the name of a marker.
pub(crate) fn word(entry: &RecordedEntry) -> String {
    match &entry.kind {
        EntryKind::Event(event) => event.decode::<Value>().unwrap()["n"].to_string(),
        EntryKind::Marker(marker) => marker.name().to_owned(),
    }
}

/// All that is there.
async fn words(store: &Arc<MemoryStore>, windlass: &Windlass) -> Vec<String> {
    let journal = windlass.journal(store.clone());
    let mut reader = journal.reader(StartPosition::Start).await.unwrap().to_the_end();
    let mut words = Vec::new();
    while let Some(JournalItem::Recorded(entry)) = reader.next().await.unwrap() {
        // What a gateway sends by itself is not what these are about.
        if !matches!(&entry.kind, EntryKind::Event(event) if &*event.name != "custom") {
            words.push(word(&entry));
        }
    }
    words
}

pub(crate) fn custom() -> ReaderFilter {
    ReaderFilter {
        events: EventFilter::all().name("custom"),
        ..ReaderFilter::default()
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_and_what_is_live_are_one_stream() {
    play(async {
        const EVENTS: u64 = 3_000;
        let bench = Bench::up(Protocol::V4).await;
        let store = memory();
        let writer = record(&bench.windlass, &store).await;
        let sim = bench.sim.clone();
        let sending = tokio::task::spawn_local(async move {
            for n in 0..EVENTS {
                sim.emit("custom", json!({ "n": n }));
                tokio::time::sleep(Duration::from_millis(n % 5)).await;
            }
        });
        // Readers that come while it is recorded, and go and come again in the middle: told by the writer, or looking.
        let journal = bench.windlass.journal(store.clone());
        let mut readers = Vec::new();
        for number in 0..8_u64 {
            let (journal, writer) = (journal.clone(), writer.clone());
            readers.push(tokio::task::spawn_local(async move {
                tokio::time::sleep(Duration::from_millis(700 * number)).await;
                let (mut seen, mut cursors, mut from) = (Vec::new(), Vec::new(), StartPosition::Start);
                while seen.len() < usize::try_from(EVENTS).unwrap() {
                    let mut reader = journal.reader_with(from, custom()).await.unwrap();
                    if number % 2 == 0 {
                        reader = reader.following(&writer);
                    }
                    for _ in 0..500 + 13 * number {
                        let entry = next(&mut reader).await;
                        cursors.push(entry.cursor);
                        if let EntryKind::Event(event) = &entry.kind {
                            seen.push(event.decode::<Value>().unwrap()["n"].as_u64().unwrap());
                        }
                        if seen.last() == Some(&(EVENTS - 1)) {
                            break;
                        }
                    }
                    from = StartPosition::After(*cursors.last().unwrap());
                }
                assert!(cursors.is_sorted_by(|a, b| a < b));
                assert!(seen.into_iter().eq(0..EVENTS), "reader {number}");
            }));
        }
        sending.await.unwrap();
        for reader in readers {
            reader.await.unwrap();
        }
        let status = writer.status().borrow().clone();
        assert_eq!((status.state, status.dropped), (JournalWriterState::Recording, 0));
        assert!(status.batches < EVENTS / 2, "{} batches", status.batches);
        drop((writer, journal));
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_is_recorded_from_its_first_event_to_its_last_and_the_stream_ends_with_the_writer() {
    play(async {
        let (first, second) = (sim(Protocol::V3).start_pipe(), sim(Protocol::V4).start_pipe());
        let windlass = windlass([("one".into(), first.clone()), ("two".into(), second.clone())]);
        let store = memory();
        let writer = record(&windlass, &store).await;
        let journal = windlass.journal(store.clone());
        let mut reader = journal
            .reader_with(StartPosition::Start, custom())
            .await
            .unwrap()
            .following(&writer);
        let (mut gateways, sims) = (Vec::new(), [("one", &first), ("two", &second)]);
        for (name, sim) in sims {
            let gateway = windlass.add(spec(name)).await.unwrap();
            gateway.wait_until_up(Duration::from_secs(60)).await.unwrap();
            sim.emit("custom", json!({ "n": name }));
            let began = next(&mut reader).await;
            assert_eq!(began.gateway, GatewayUid::of_line(gateway.id()));
            let RecordedMarker::Began { line, up } = marker(began) else {
                panic!()
            };
            assert_eq!((&*line, up), (name, false));
            assert!(matches!(
                marker(next(&mut reader).await),
                RecordedMarker::Line(Marker::Reconnected { .. })
            ));
            assert_eq!(word(&next(&mut reader).await), format!("{name:?}"));
            gateways.push(gateway);
        }
        windlass
            .remove(&GatewayId::new("one").unwrap(), Duration::ZERO)
            .await
            .unwrap();
        for name in ["disconnected", "ended"] {
            let entry = next(&mut reader).await;
            assert_eq!(
                (word(&entry), entry.gateway),
                (name.to_owned(), GatewayUid::of_line(gateways[0].id()))
            );
        }
        windlass.shutdown(Duration::from_secs(1)).await;
        let last = [next(&mut reader).await, next(&mut reader).await].map(|entry| word(&entry));
        assert_eq!(last, ["disconnected", "ended"]);
        assert_eq!(item(&mut reader).await, None);
        assert_eq!(writer.status().borrow().state, JournalWriterState::Ended);
        assert!(store.own_journal().await.is_ok(), "the right is free again");
        for sim in [first, second] {
            sim.shutdown().await;
        }
    })
    .await;
}

pub(crate) fn marker(entry: RecordedEntry) -> RecordedMarker {
    match entry.kind {
        EntryKind::Marker(marker) => marker,
        EntryKind::Event(event) => panic!("{}", event.name),
    }
}

#[tokio::test(start_paused = true)]
async fn one_records_into_a_store_at_a_time_and_a_stop_stores_what_waits() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let store = memory();
        let journal = bench.windlass.journal(store.clone());
        let writer = journal.writer().start().await.unwrap();
        let refused = journal.writer().start().await.unwrap_err();
        assert!(
            matches!(refused, JournalWriterError::Own(OwnError::Owned { .. })),
            "{refused}"
        );
        assert!(refused.to_string().contains("records into the journal"), "{refused}");
        for round in 0..3 {
            for n in 0..2_000 {
                bench.sim.emit("custom", json!({ "n": n }));
            }
            // Round trips in order: all that was sent has been read.
            bench.gateway.call("health", ()).await.unwrap();
            if round == 0 {
                writer.stop().await;
            } else {
                let again = journal.writer().start().await.unwrap();
                drop(again);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        let words = words(&store, &bench.windlass).await;
        let events: Vec<String> = (0..2_000).map(|n| n.to_string()).collect();
        let expected: Vec<&str> = ["began"].into_iter().chain(events.iter().map(String::as_str)).collect();
        assert_eq!(words[..2_001], expected, "nothing of the first round is missing");
        assert_eq!(words[2_001..], ["ended", "began", "ended", "began", "ended"]);
        drop((journal, writer));
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_runs_over_is_a_hole_that_says_how_large_it_is() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let store = memory();
        let journal = bench.windlass.journal(store.clone());
        let writer = journal.writer().backlog(10).start().await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        for n in 0..100 {
            bench.sim.emit("custom", json!({ "n": n }));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut reader = journal.reader(StartPosition::Start).await.unwrap().to_the_end();
        let (mut expected, mut dropped) = (0, 0);
        while let Some(item) = reader.next().await.unwrap() {
            let JournalItem::Recorded(entry) = item else {
                panic!("{item:?}")
            };
            match entry.kind {
                EntryKind::Event(event) => {
                    assert_eq!(event.decode::<Value>().unwrap()["n"], expected);
                    expected += 1;
                }
                EntryKind::Marker(RecordedMarker::Line(Marker::Lagged(count))) => {
                    expected += count;
                    dropped += count;
                }
                EntryKind::Marker(_) => {}
            }
        }
        assert_eq!((expected, writer.status().borrow().dropped), (100, dropped));
        assert!(dropped >= 50, "{dropped}");
        drop((journal, writer));
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_goes_on_behind_what_it_acknowledged() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let store = memory();
        let writer = record(&bench.windlass, &store).await;
        for n in 0..120 {
            bench.sim.emit("custom", json!({ "n": n }));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let audit = || StartPosition::Consumer("audit".into());
        let mut seen = Vec::new();
        for _ in 0..10 {
            let mut reader = reader(&bench, &store, audit()).await;
            for n in 0..12 {
                let word = word(&next(&mut reader).await);
                // The last two were not acknowledged before: they come again.
                if n >= 2 || seen.len() < 2 {
                    seen.push(word);
                } else {
                    assert_eq!(seen[seen.len() - 2 + n], word);
                }
                if n == 9 {
                    reader.acknowledge().await.unwrap();
                }
            }
        }
        let numbers: Vec<String> = (0..seen.len() - 1).map(|n| n.to_string()).collect();
        assert_eq!(seen[0], "began");
        assert_eq!(seen[1..], numbers);
        drop(writer);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_old_and_the_too_much_go_in_the_background_and_a_reader_is_told() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        for retention in [
            Retention {
                max_age: Some(Duration::from_secs(3600)),
                max_bytes: None,
            },
            Retention {
                max_age: None,
                max_bytes: Some(100_000),
            },
        ] {
            let store = memory();
            let journal = bench.windlass.journal(store.clone());
            let writer = journal.writer().retention(retention).start().await.unwrap();
            let mut first: Option<Cursor> = None;
            for n in 0..5_000_u64 {
                bench.sim.emit("custom", json!({ "n": n }));
                if n % 10 == 0 {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                    let extent = store.journal_extent().await.unwrap();
                    assert!(extent.bytes < 120_000 || retention.max_bytes.is_none(), "{extent:?}");
                    first = first.or(extent.oldest);
                }
            }
            let extent = store.journal_extent().await.unwrap();
            assert!(extent.entries < 1_400, "{extent:?}");
            let mut reader = reader(&bench, &store, StartPosition::After(first.unwrap())).await;
            let lost = item(&mut reader).await;
            assert!(matches!(lost, Some(JournalItem::Lost(Lost::Pruned { .. }))), "{lost:?}");
            assert_eq!(Some(next(&mut reader).await.cursor), extent.oldest);
            assert!(writer.status().borrow().pruned > 3_600);
            writer.stop().await;
        }
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn two_readers_of_one_consumer_name_are_told_of_each_other() {
    play(Box::pin(async {
        let bench = Bench::up(Protocol::V4).await;
        let store = memory();
        let writer = record(&bench.windlass, &store).await;
        let audit = || StartPosition::Consumer("audit".into());
        let mut readers = [
            reader(&bench, &store, audit()).await,
            reader(&bench, &store, audit()).await,
        ];
        let mut told = [0, 0];
        for n in 0..5 {
            bench.sim.emit("custom", json!({ "n": n }));
            for (reader, told) in readers.iter_mut().zip(&mut told) {
                while item(reader).await == Some(JournalItem::OtherReader) {
                    *told += 1;
                }
                reader.acknowledge().await.unwrap();
            }
        }
        assert_eq!(told, [1, 1], "each once");
        // One that is alone is told nothing, whoever read under its name before.
        let [mut alone, _gone] = readers;
        for n in 5..8 {
            bench.sim.emit("custom", json!({ "n": n }));
            next(&mut alone).await;
            alone.acknowledge().await.unwrap();
        }
        drop(writer);
        bench.finish().await;
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_of_another_journal_is_told_and_goes_on_with_this_one() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let store = memory();
        let mut reader = reader(&bench, &store, StartPosition::After(Cursor::new(i64::MAX))).await;
        assert_eq!(item(&mut reader).await, Some(JournalItem::Lost(Lost::OtherJournal)));
        let writer = record(&bench.windlass, &store).await;
        assert_eq!(
            word(&next(&mut reader).await),
            "began",
            "told once, also while the journal is empty"
        );
        drop(writer);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn frames_that_cannot_be_read_are_few_entries_with_a_count() {
    const FRAMES: u64 = 20_000;
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let store = memory();
        let writer = record(&bench.windlass, &store).await;
        let connection = bench.sim.connections()[0];
        // Twenty seconds of it, and an event behind.
        for _ in 0..FRAMES / 100 {
            for _ in 0..100 {
                bench.sim.send_text(connection, "");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bench.sim.emit("custom", json!({ "n": 1 }));
        writer.stop().await;
        let mut reader = reader(&bench, &store, StartPosition::Start).await.to_the_end();
        let (mut entries, mut counted) = (0, 0);
        while let Some(JournalItem::Recorded(entry)) = reader.next().await.unwrap() {
            counted += match entry.kind {
                EntryKind::Marker(RecordedMarker::Line(Marker::Unreadable)) => 1,
                EntryKind::Marker(RecordedMarker::Repeated { count, .. }) => count,
                _ => continue,
            };
            entries += 1;
        }
        assert_eq!(counted, FRAMES, "none is forgotten");
        assert!(entries <= 4, "{entries} entries");
        bench.finish().await;
    })
    .await;
}

/// The runtime's time, with a time of day that is set by hand: it counts from 1970, as a machine without a battery does until
/// its clock is set.
#[derive(Clone)]
struct SetClock {
    tokio: TokioClock,
    start: Instant,
    /// Seconds.
    ahead: Arc<AtomicU64>,
}

impl SetClock {
    fn start() -> Self {
        let tokio = TokioClock::start();
        Self {
            tokio,
            start: tokio.now(),
            ahead: Arc::default(),
        }
    }

    /// Sets the clock from 1970 to some day of 2026.
    fn set(&self) {
        self.ahead.store(1_795_348_800, Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Instant {
        self.tokio.now()
    }

    fn wall(&self) -> SystemTime {
        let ahead = Duration::from_secs(self.ahead.load(Ordering::Relaxed));
        SystemTime::UNIX_EPOCH + ahead + self.now().saturating_duration_since(self.start)
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_recorded_before_the_clock_was_set_is_kept_and_stamps_follow_the_clock() {
    play(async {
        let (clock, store) = (SetClock::start(), memory());
        let sim = sim(Protocol::V4).start_pipe();
        let windlass = windlass_with([("gw".to_owned(), sim.clone())], |builder| builder.clock(clock.clone()));
        let gateway = windlass.add(spec("gw")).await.unwrap();
        gateway.wait_until_up(Duration::from_secs(60)).await.unwrap();
        let hours = Retention {
            max_age: Some(Duration::from_secs(7_200)),
            max_bytes: None,
        };
        let journal = windlass.journal(store.clone());
        let writer = journal.writer().retention(hours).start().await.unwrap();
        for n in 0..20 {
            if n == 10 {
                clock.set();
            }
            sim.emit("custom", json!({ "n": n }));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        writer.stop().await;
        // The next writer looks at what is old at once, and after an hour.
        let writer = journal.writer().retention(hours).start().await.unwrap();
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        writer.stop().await;
        let mut reader = journal
            .reader_with(StartPosition::Start, custom())
            .await
            .unwrap()
            .to_the_end();
        let mut stamps = Vec::new();
        while let Some(JournalItem::Recorded(entry)) = reader.next().await.unwrap() {
            if matches!(entry.kind, EntryKind::Event(_)) {
                stamps.push(entry.at.as_millis());
            }
        }
        assert_eq!(stamps.len(), 20, "all are kept");
        assert!(stamps[..10].iter().all(|at| *at < 100_000), "{stamps:?}");
        assert!(stamps[10..].iter().all(|at| *at > 1_795_000_000_000), "{stamps:?}");
        // They are old two hours after they came, by whichever clock.
        let writer = journal.writer().retention(hours).start().await.unwrap();
        tokio::time::sleep(Duration::from_secs(7_200)).await;
        assert!(writer.status().borrow().pruned >= 20);
        writer.stop().await;
        windlass.shutdown(Duration::from_secs(1)).await;
        sim.shutdown().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_another_writer_stamped_with_a_wrong_clock_is_not_deleted_by_the_next_one() {
    play(async {
        let (clock, store) = (SetClock::start(), memory());
        let sim = sim(Protocol::V4).start_pipe();
        let windlass = windlass_with([("gw".to_owned(), sim.clone())], |builder| builder.clock(clock.clone()));
        let gateway = windlass.add(spec("gw")).await.unwrap();
        gateway.wait_until_up(Duration::from_secs(60)).await.unwrap();
        let hours = Retention {
            max_age: Some(Duration::from_secs(7_200)),
            max_bytes: None,
        };
        let journal = windlass.journal(store.clone());
        let writer = journal.writer().retention(hours).start().await.unwrap();
        sim.emit("custom", json!({ "n": 1 }));
        tokio::time::sleep(Duration::from_secs(1)).await;
        writer.stop().await;
        clock.set();
        let writer = journal.writer().retention(hours).start().await.unwrap();
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(writer.status().borrow().pruned, 0);
        writer.stop().await;
        windlass.shutdown(Duration::from_secs(1)).await;
        sim.shutdown().await;
    })
    .await;
}
