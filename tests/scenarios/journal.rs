//! What gateways send is kept, in order and once, and every hole in it is marked.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use windlass::journal::{
    Cursor, GatewayUid, Lost, Place, Recorded, RecordedMarker, Recorder, RecorderError, RecorderState, Retention,
    Stall, Trail, TrailFilter, TrailItem, What,
};
use windlass::store::{MemoryStore, OwnError, SqliteOptions, SqliteStore, Store};
use windlass::{EventFilter, GatewayId, LineState, Marker, Windlass};
use windlass_testkit::{Generation as Protocol, SimGateway};

use crate::bench::{Bench, play, seed, sim, spec, windlass};

fn memory() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new())
}

async fn trail(bench: &Bench, store: &Arc<MemoryStore>, from: Place) -> Trail {
    bench.windlass.journal(store.clone()).trail(from).await.unwrap()
}

async fn record(windlass: &Windlass, store: &Arc<MemoryStore>) -> Recorder {
    windlass.journal(store.clone()).recorder().start().await.unwrap()
}

/// The next entry, over nothing; within an hour of virtual time.
async fn next(trail: &mut Trail) -> Recorded {
    match item(trail).await.expect("the stream goes on") {
        TrailItem::Recorded(entry) => *entry,
        other => panic!("{other:?}"),
    }
}

async fn item(trail: &mut Trail) -> Option<TrailItem> {
    let next = tokio::time::timeout(Duration::from_secs(3600), trail.next()).await;
    next.expect("an item comes").unwrap()
}

/// What an entry is, in one word: the number of an event, the name of a marker.
fn word(entry: &Recorded) -> String {
    match &entry.what {
        What::Event(event) => event.decode::<Value>().unwrap()["n"].to_string(),
        What::Marker(marker) => marker.name().to_owned(),
    }
}

/// All that is there.
async fn words(store: &Arc<MemoryStore>, windlass: &Windlass) -> Vec<String> {
    let journal = windlass.journal(store.clone());
    let mut trail = journal.trail(Place::Start).await.unwrap().to_the_end();
    let mut words = Vec::new();
    while let Some(TrailItem::Recorded(entry)) = trail.next().await.unwrap() {
        // What a gateway sends by itself is not what these are about.
        if !matches!(&entry.what, What::Event(event) if &*event.name != "custom") {
            words.push(word(&entry));
        }
    }
    words
}

fn custom() -> TrailFilter {
    TrailFilter {
        events: EventFilter::all().name("custom"),
        ..TrailFilter::default()
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_and_what_is_live_are_one_stream() {
    play(async {
        const EVENTS: u64 = 3_000;
        let bench = Bench::up(Protocol::V4).await;
        let store = memory();
        let recorder = record(&bench.windlass, &store).await;
        let sim = bench.sim.clone();
        let sending = tokio::task::spawn_local(async move {
            for n in 0..EVENTS {
                sim.emit("custom", json!({ "n": n }));
                tokio::time::sleep(Duration::from_millis(n % 5)).await;
            }
        });
        // Readers that come while it is recorded, and go and come again in the middle: told by the recorder, or looking.
        let journal = bench.windlass.journal(store.clone());
        let mut readers = Vec::new();
        for reader in 0..8_u64 {
            let (journal, recorder) = (journal.clone(), recorder.clone());
            readers.push(tokio::task::spawn_local(async move {
                tokio::time::sleep(Duration::from_millis(700 * reader)).await;
                let (mut seen, mut cursors, mut from) = (Vec::new(), Vec::new(), Place::Start);
                while seen.len() < usize::try_from(EVENTS).unwrap() {
                    let mut trail = journal.trail_of(from, custom()).await.unwrap();
                    if reader % 2 == 0 {
                        trail = trail.following(&recorder);
                    }
                    for _ in 0..500 + 13 * reader {
                        let entry = next(&mut trail).await;
                        cursors.push(entry.cursor);
                        if let What::Event(event) = &entry.what {
                            seen.push(event.decode::<Value>().unwrap()["n"].as_u64().unwrap());
                        }
                        if seen.last() == Some(&(EVENTS - 1)) {
                            break;
                        }
                    }
                    from = Place::After(*cursors.last().unwrap());
                }
                assert!(cursors.is_sorted_by(|a, b| a < b));
                assert!(seen.into_iter().eq(0..EVENTS), "reader {reader}");
            }));
        }
        sending.await.unwrap();
        for reader in readers {
            reader.await.unwrap();
        }
        let status = recorder.status().borrow().clone();
        assert_eq!((status.state, status.dropped), (RecorderState::Recording, 0));
        assert!(status.batches < EVENTS / 2, "{} batches", status.batches);
        drop((recorder, journal));
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_is_recorded_from_its_first_event_to_its_last_and_the_stream_ends_with_the_recorder() {
    play(async {
        let (first, second) = (sim(Protocol::V3).start_pipe(), sim(Protocol::V4).start_pipe());
        let windlass = windlass([("one".into(), first.clone()), ("two".into(), second.clone())]);
        let store = memory();
        let recorder = record(&windlass, &store).await;
        let journal = windlass.journal(store.clone());
        let mut trail = journal
            .trail_of(Place::Start, custom())
            .await
            .unwrap()
            .following(&recorder);
        let (mut gateways, sims) = (Vec::new(), [("one", &first), ("two", &second)]);
        for (name, sim) in sims {
            let gateway = windlass.add(spec(name)).await.unwrap();
            gateway.wait_until_up(Duration::from_secs(60)).await.unwrap();
            sim.emit("custom", json!({ "n": name }));
            let began = next(&mut trail).await;
            assert_eq!(began.gateway, GatewayUid::of_line(gateway.id()));
            let RecordedMarker::Began { line, up } = marker(began) else {
                panic!()
            };
            assert_eq!((&*line, up), (name, false));
            assert!(matches!(
                marker(next(&mut trail).await),
                RecordedMarker::Line(Marker::Reconnected { .. })
            ));
            assert_eq!(word(&next(&mut trail).await), format!("{name:?}"));
            gateways.push(gateway);
        }
        windlass
            .remove(&GatewayId::new("one").unwrap(), Duration::ZERO)
            .await
            .unwrap();
        for name in ["disconnected", "ended"] {
            let entry = next(&mut trail).await;
            assert_eq!(
                (word(&entry), entry.gateway),
                (name.to_owned(), GatewayUid::of_line(gateways[0].id()))
            );
        }
        windlass.shutdown(Duration::from_secs(1)).await;
        let last = [next(&mut trail).await, next(&mut trail).await].map(|entry| word(&entry));
        assert_eq!(last, ["disconnected", "ended"]);
        assert_eq!(item(&mut trail).await, None);
        assert_eq!(recorder.status().borrow().state, RecorderState::Ended);
        assert!(store.own_journal().await.is_ok(), "the right is free again");
        for sim in [first, second] {
            sim.shutdown().await;
        }
    })
    .await;
}

fn marker(entry: Recorded) -> RecordedMarker {
    match entry.what {
        What::Marker(marker) => marker,
        What::Event(event) => panic!("{}", event.name),
    }
}

#[tokio::test(start_paused = true)]
async fn one_records_into_a_store_at_a_time_and_a_stop_stores_what_waits() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let store = memory();
        let journal = bench.windlass.journal(store.clone());
        let recorder = journal.recorder().start().await.unwrap();
        let refused = journal.recorder().start().await.unwrap_err();
        assert!(
            matches!(refused, RecorderError::Own(OwnError::Owned { .. })),
            "{refused}"
        );
        assert!(refused.to_string().contains("records into this journal"), "{refused}");
        for round in 0..3 {
            for n in 0..2_000 {
                bench.sim.emit("custom", json!({ "n": n }));
            }
            // Round trips in order: all that was sent has been read.
            bench.gateway.call("health", ()).await.unwrap();
            if round == 0 {
                recorder.stop().await;
            } else {
                let again = journal.recorder().start().await.unwrap();
                drop(again);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        let words = words(&store, &bench.windlass).await;
        let events: Vec<String> = (0..2_000).map(|n| n.to_string()).collect();
        let expected: Vec<&str> = ["began"].into_iter().chain(events.iter().map(String::as_str)).collect();
        assert_eq!(words[..2_001], expected, "nothing of the first round is missing");
        assert_eq!(words[2_001..], ["ended", "began", "ended", "began", "ended"]);
        drop((journal, recorder));
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
        let recorder = journal.recorder().backlog(10).start().await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        for n in 0..100 {
            bench.sim.emit("custom", json!({ "n": n }));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut trail = journal.trail(Place::Start).await.unwrap().to_the_end();
        let (mut expected, mut dropped) = (0, 0);
        while let Some(item) = trail.next().await.unwrap() {
            let TrailItem::Recorded(entry) = item else {
                panic!("{item:?}")
            };
            match entry.what {
                What::Event(event) => {
                    assert_eq!(event.decode::<Value>().unwrap()["n"], expected);
                    expected += 1;
                }
                What::Marker(RecordedMarker::Line(Marker::Lagged(count))) => {
                    expected += count;
                    dropped += count;
                }
                What::Marker(_) => {}
            }
        }
        assert_eq!((expected, recorder.status().borrow().dropped), (100, dropped));
        assert!(dropped >= 50, "{dropped}");
        drop((journal, recorder));
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_goes_on_behind_what_it_acknowledged() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let store = memory();
        let recorder = record(&bench.windlass, &store).await;
        for n in 0..120 {
            bench.sim.emit("custom", json!({ "n": n }));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let audit = || Place::Consumer("audit".into());
        let mut seen = Vec::new();
        for _ in 0..10 {
            let mut trail = trail(&bench, &store, audit()).await;
            for n in 0..12 {
                let word = word(&next(&mut trail).await);
                // The last two were not acknowledged before: they come again.
                if n >= 2 || seen.len() < 2 {
                    seen.push(word);
                } else {
                    assert_eq!(seen[seen.len() - 2 + n], word);
                }
                if n == 9 {
                    trail.acknowledge().await.unwrap();
                }
            }
        }
        let numbers: Vec<String> = (0..seen.len() - 1).map(|n| n.to_string()).collect();
        assert_eq!(seen[0], "began");
        assert_eq!(seen[1..], numbers);
        drop(recorder);
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
            let recorder = journal.recorder().retention(retention).start().await.unwrap();
            let mut first: Option<Cursor> = None;
            for n in 0..5_000_u64 {
                bench.sim.emit("custom", json!({ "n": n }));
                if n % 10 == 0 {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                    let extent = windlass::store::Journal::journal_extent(&*store).await.unwrap();
                    assert!(extent.bytes < 120_000 || retention.max_bytes.is_none(), "{extent:?}");
                    first = first.or(extent.oldest);
                }
            }
            let extent = windlass::store::Journal::journal_extent(&*store).await.unwrap();
            assert!(extent.entries < 1_400, "{extent:?}");
            let mut trail = trail(&bench, &store, Place::After(first.unwrap())).await;
            let lost = item(&mut trail).await;
            assert!(matches!(lost, Some(TrailItem::Lost(Lost::Pruned { .. }))), "{lost:?}");
            assert_eq!(Some(next(&mut trail).await.cursor), extent.oldest);
            assert!(recorder.status().borrow().pruned > 3_600);
            recorder.stop().await;
        }
        bench.finish().await;
    })
    .await;
}

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
    fn take(&mut self, entry: &Recorded) {
        match &entry.what {
            What::Event(event) if &*event.name == "custom" => {
                let n = event.decode::<Value>().unwrap()["n"].as_u64().unwrap();
                assert!(self.open, "{n} came where the stream says that nothing can");
                assert!(self.last.is_none_or(|last| n > last), "{n} after {:?}", self.last);
                let whole = self.last.is_some_and(|last| n == last + 1);
                assert!(whole || self.holes > 0, "a hole before {n} that is not marked");
                (self.last, self.holes) = (Some(n), 0);
                self.events += 1;
            }
            What::Marker(RecordedMarker::Began { up, .. }) => self.hole(*up),
            What::Marker(RecordedMarker::Line(Marker::Reconnected { .. })) => self.hole(true),
            What::Marker(RecordedMarker::Line(Marker::Disconnected { .. }) | RecordedMarker::Ended) => self.hole(false),
            What::Marker(RecordedMarker::Line(Marker::Gap(_) | Marker::Lagged(_))) => self.hole(self.open),
            What::Event(_) | What::Marker(_) => {}
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
        let (mut auditor, mut from, mut n) = (Auditor::default(), Place::Start, 0);
        for _ in 0..20 {
            let windlass = windlass([("gw".to_owned(), sim.clone())]);
            let gateway = windlass.add(spec("gw")).await.unwrap();
            let recorder = record(&windlass, &store).await;
            let journal = windlass.journal(store.clone());
            for _ in 0..cuts {
                gateway.wait_until_up(Duration::from_secs(600)).await.unwrap();
                let mut trail = journal.trail(from).await.unwrap().following(&recorder);
                send(&sim, &mut n, rng.random_range(1..20));
                // All that was sent while connected is there, at last.
                while auditor.last != Some(n - 1) {
                    auditor.take(&next(&mut trail).await);
                }
                from = Place::After(trail.cursor().unwrap());
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
            drop((windlass, gateway, recorder, journal));
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..50))).await;
        }
        let windlass = windlass([("gw".to_owned(), sim.clone())]);
        let mut trail = windlass.journal(store.clone()).trail(from).await.unwrap().to_the_end();
        while let Some(item) = trail.next().await.unwrap() {
            let TrailItem::Recorded(entry) = item else {
                panic!("{item:?}")
            };
            auditor.take(&entry);
        }
        eprintln!("{} cuts: {} of {n} events recorded", 20 * cuts, auditor.events);
        assert!(auditor.events > 160 * cuts, "{} of {n}", auditor.events);
        drop(trail);
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

/// A gateway, a line to it, and a store of its own on the disk, in real time.
struct Disk {
    folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    sim: SimGateway,
    windlass: Windlass,
}

impl Disk {
    async fn new(options: SqliteOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open_with(folder.path().join("store.db"), options)
            .await
            .unwrap();
        let sim = sim(Protocol::V4).start_tcp().await.unwrap();
        let windlass = Windlass::start().unwrap();
        let mut spec = spec("gw");
        spec.endpoint = sim.url().parse().unwrap();
        let gateway = windlass.add(spec).await.unwrap();
        gateway.wait_until_up(Duration::from_secs(30)).await.unwrap();
        Self {
            folder,
            store: Arc::new(store),
            sim,
            windlass,
        }
    }

    /// Past the store.
    async fn journal_file(&self) -> SqliteConnection {
        let file = self.folder.path().join("store.db.journal");
        let options = SqliteConnectOptions::new().filename(file);
        SqliteConnection::connect_with(&options).await.unwrap()
    }
}

#[tokio::test]
async fn a_locked_journal_is_waited_for_and_told_and_nothing_is_lost() {
    let options = SqliteOptions {
        busy_timeout: Duration::from_millis(20),
        ..SqliteOptions::default()
    };
    let disk = Disk::new(options).await;
    let journal = disk.windlass.journal(Arc::clone(&disk.store));
    let recorder = journal.recorder().start().await.unwrap();
    let mut trail = journal.trail(Place::Start).await.unwrap().following(&recorder);
    assert!(matches!(
        marker(next(&mut trail).await),
        RecordedMarker::Began { up: true, .. }
    ));
    let mut trail = journal
        .trail_of(Place::Now, custom())
        .await
        .unwrap()
        .following(&recorder);
    let mut other = disk.journal_file().await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    for n in 0..1_000 {
        disk.sim.emit("custom", json!({ "n": n }));
    }
    assert_eq!(item(&mut trail).await, Some(TrailItem::Stalled(Stall::Busy)));
    assert!(matches!(
        recorder.status().borrow().state,
        RecorderState::Stalled { why: Stall::Busy, .. }
    ));
    other.execute("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    assert_eq!(item(&mut trail).await, Some(TrailItem::Resumed));
    for n in 0..1_000 {
        assert_eq!(word(&next(&mut trail).await), n.to_string());
    }
    disk.windlass.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_full_journal_stalls_the_recorder_and_room_lets_it_go_on() {
    let options = SqliteOptions {
        journal_max_bytes: Some(200 * 1024),
        ..SqliteOptions::default()
    };
    let disk = Disk::new(options).await;
    let Disk {
        store, sim, windlass, ..
    } = &disk;
    let gateway = windlass.gateways().remove(0);
    let journal = windlass.journal(Arc::clone(store));
    let recorder = journal.recorder().backlog(50).start().await.unwrap();
    let mut trail = journal
        .trail_of(Place::Start, custom())
        .await
        .unwrap()
        .following(&recorder);
    let filler = "x".repeat(1_000);
    let mut sent = 0_u64;
    let mut next_stall = async |trail: &mut Trail| {
        loop {
            sim.emit("custom", json!({ "n": sent, "filler": filler }));
            sent += 1;
            let waited = tokio::time::timeout(Duration::from_millis(5), trail.next()).await;
            if let Ok(Ok(Some(TrailItem::Stalled(why)))) = waited {
                return why;
            }
        }
    };
    assert_eq!(next_stall(&mut trail).await, Stall::Full);
    // Far more than waits.
    for n in 0..500 {
        sim.emit("custom", json!({ "n": 1_000_000 + n, "filler": filler }));
    }
    gateway.call("health", ()).await.unwrap();
    // The room that is made is found by the next try.
    while windlass::store::Journal::prune_journal(
        &**store,
        &Retention {
            max_age: None,
            max_bytes: Some(0),
        },
        at_once(),
        1_000,
    )
    .await
    .unwrap()
    .more
    {}
    let mut dropped = None;
    let mut resumed = false;
    let last = loop {
        match tokio::time::timeout(Duration::from_secs(60), trail.next())
            .await
            .expect("it goes on")
            .unwrap()
        {
            Some(TrailItem::Resumed) => resumed = true,
            Some(TrailItem::Recorded(entry)) => match &entry.what {
                What::Marker(RecordedMarker::Line(Marker::Lagged(count))) => dropped = Some(*count),
                What::Event(event) => {
                    let n = event.decode::<Value>().unwrap()["n"].as_u64().unwrap();
                    if n == 1_000_499 {
                        break n;
                    }
                }
                What::Marker(_) => {}
            },
            other => assert!(matches!(other, Some(TrailItem::Lost(_))), "{other:?}"),
        }
    };
    assert!(resumed && last == 1_000_499);
    assert!(dropped.is_some_and(|dropped| dropped >= 400), "{dropped:?}");
    assert!(recorder.status().borrow().retries > 0);
    windlass.shutdown(Duration::from_secs(1)).await;
}

fn at_once() -> windlass::journal::Timestamp {
    windlass::journal::Timestamp::from_millis(0)
}
